/* image_png.c - PNG by libpng's simplified interface, which needs no longjmp here. */
#include <png.h>
#include <stdlib.h>
#include <string.h>

#include "worker/image_decode.h"

static ps_status finish(png_image *image, uint32_t pixels, float *features, ps_error *error)
{
    image->format = PNG_FORMAT_GRAY;
    uint8_t *grey = malloc(pixels);
    if (!grey)
        return ps_fail(error, PS_ENOMEM, "out of memory for its pixels");
    const png_color black = {0, 0, 0};
    ps_status status = PS_OK;
    if (!png_image_finish_read(image, &black, grey, 0, NULL))
        status = ps_fail(error, PS_EFORMAT, "damaged PNG: %s", image->message);
    for (uint32_t i = 0; status == PS_OK && i < pixels; i++)
        features[i] = (float)grey[i] / 255.0F;
    free(grey);
    return status;
}

ps_status image_decode_png(const void *bytes, size_t size, uint32_t pixels, float *features, ps_error *error)
{
    png_image image;
    memset(&image, 0, sizeof image);
    image.version = PNG_IMAGE_VERSION;
    ps_status status = PS_OK;
    if (!png_image_begin_read_from_memory(&image, bytes, size))
        status = ps_fail(error, PS_EFORMAT, "damaged PNG: %s", image.message);
    if (status == PS_OK)
        status = image_check_size(image.width, image.height, pixels, error);
    if (status == PS_OK)
        status = finish(&image, pixels, features, error);
    png_image_free(&image);
    return status;
}
