/* make_idx.c - writes a small labelled data set in the IDX format, learnable and always the same.
 *
 *   make_idx FOLDER TRAIN_ROWS TEST_ROWS SIDE
 *
 * Each of ten classes is a random picture of SIDE x SIDE pixels; a row is its class's picture with noise. So
 * a perceptron gets nearly all rows right after a few epochs, and tests of training need no download. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLASSES = 10, SIDE_MAX = 64, ROWS_MAX = 1000000, NOISE = 96 /* of 255, to both sides */ };

typedef struct {
    uint32_t side;
    uint8_t prototypes[CLASSES][SIDE_MAX * SIDE_MAX];
    uint64_t random; /* state of xorshift64 (Marsaglia 2003) */
} source;

static uint32_t draw(source *s, uint32_t below)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return (uint32_t)(s->random >> 33) % below;
}

static void put_number(FILE *file, uint32_t value)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        fputc((int)(value >> shift & 0xff), file);
}

static FILE *open_file(const char *folder, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file) {
        fprintf(stderr, "make_idx: %s: %s\n", path, strerror(errno));
        exit(EXIT_FAILURE);
    }
    return file;
}

static void close_file(FILE *file, const char *name)
{
    if (ferror(file) || fclose(file) != 0) {
        fprintf(stderr, "make_idx: cannot write %s\n", name);
        exit(EXIT_FAILURE);
    }
}

static uint8_t noisy(source *s, uint8_t pixel)
{
    int value = pixel + (int)draw(s, 2 * NOISE + 1) - NOISE;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

static void write_part(source *s, const char *folder, const char *images_name, const char *labels_name,
                       uint32_t rows)
{
    FILE *images = open_file(folder, images_name);
    FILE *labels = open_file(folder, labels_name);
    put_number(images, 0x00000803);
    put_number(images, rows);
    put_number(images, s->side);
    put_number(images, s->side);
    put_number(labels, 0x00000801);
    put_number(labels, rows);
    for (uint32_t row = 0; row < rows; row++) {
        /* Every class is there, however few the rows: both parts must have the same number of them. */
        uint32_t label = row < CLASSES ? row : draw(s, CLASSES);
        fputc((int)label, labels);
        for (uint32_t p = 0; p < s->side * s->side; p++)
            fputc(noisy(s, s->prototypes[label][p]), images);
    }
    close_file(images, images_name);
    close_file(labels, labels_name);
}

static uint32_t parse_number(const char *text, uint32_t least, uint32_t most)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value < least || value > most) {
        fprintf(stderr, "make_idx: '%s' is not a number from %u to %u\n", text, least, most);
        exit(EXIT_FAILURE);
    }
    return (uint32_t)value;
}

int main(int argc, char **argv)
{
    static source s = {.random = UINT64_C(0x9E3779B97F4A7C15)};
    if (argc != 5) {
        fputs("usage: make_idx FOLDER TRAIN_ROWS TEST_ROWS SIDE\n", stderr);
        return EXIT_FAILURE;
    }
    uint32_t train_rows = parse_number(argv[2], CLASSES, ROWS_MAX);
    uint32_t test_rows = parse_number(argv[3], CLASSES, ROWS_MAX);
    s.side = parse_number(argv[4], 1, SIDE_MAX);
    for (int c = 0; c < CLASSES; c++)
        for (uint32_t p = 0; p < s.side * s.side; p++)
            s.prototypes[c][p] = (uint8_t)draw(&s, 256);
    write_part(&s, argv[1], "train-images-idx3-ubyte", "train-labels-idx1-ubyte", train_rows);
    write_part(&s, argv[1], "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte", test_rows);
    return EXIT_SUCCESS;
}
