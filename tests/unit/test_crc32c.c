/* CRC-32C and the framing of TFRecord, against published values and bytes put together by hand. */
#include "common/crc32c.h"

#include <string.h>

#include "common/tfrecord.h"
#include "tests/unit/unit.h"

static void published_values(void **state)
{
    (void)state;
    uint8_t bytes[32];
    assert_int_equal(crc32c(NULL, 0), 0);
    assert_int_equal(crc32c("123456789", 9), 0xe3069283);
    memset(bytes, 0, sizeof bytes); /* RFC 3720, B.4 */
    assert_int_equal(crc32c(bytes, sizeof bytes), 0x8a9136aa);
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(crc32c(bytes, sizeof bytes), 0x62a8ab43);
    for (int i = 0; i < 32; i++)
        bytes[i] = (uint8_t)i;
    assert_int_equal(crc32c(bytes, sizeof bytes), 0x46dd794e);
}

/* The first record of TensorBoard's files has a length of 24. */
static void a_record_is_framed_by_masked_sums(void **state)
{
    (void)state;
    static const uint8_t length_24[TFRECORD_HEAD_BYTES] = {24, 0, 0, 0, 0, 0, 0, 0, 0xa3, 0x7f, 0x4b, 0x22};
    uint8_t head[TFRECORD_HEAD_BYTES], foot[TFRECORD_FOOT_BYTES], data[24] = {0};
    tfrecord_frame(data, sizeof data, head, foot);
    assert_memory_equal(head, length_24, sizeof head);

    static const uint8_t sum[TFRECORD_FOOT_BYTES] = {0xe5, 0xb0, 0x8a, 0xc7};
    tfrecord_frame("123456789", 9, head, foot);
    assert_int_equal(head[0], 9);
    assert_memory_equal(foot, sum, sizeof foot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_values),
        cmocka_unit_test(a_record_is_framed_by_masked_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
