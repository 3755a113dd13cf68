/*
 * What the fuzz targets share
 *
 * A target is one function, LLVMFuzzerTestOneInput().  With clang it is
 * linked with libFuzzer; with gcc, with corpus-runner.c.  It must neither
 * crash nor leak nor hang on any input, and asserts what it can.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "io/channel.h"
#include "util/aio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The event loop of the process, made on first use. */
AioContext *fuzz_context(void);

/* The next byte of the input, 0 when there is none; used up. */
uint8_t fuzz_byte(const uint8_t **data, size_t *size);

/*
 * Give all but the first byte as a string to @even or @odd, as that byte is,
 * when there is a loop.
 */
void fuzz_text(const uint8_t *data, size_t size,
               void (*even)(const char *text), void (*odd)(const char *text));

/*
 * One end of a stream whose other end has sent @data and will send no more.
 * What is written to it goes to *@peer, which fuzz_loop() empties.
 */
IOChannel *fuzz_channel(const uint8_t *data, size_t size, int *peer);

/*
 * Start @entry(@opaque) as a coroutine and run the loop until @busy(@opaque)
 * says that all is over; then close @peer (-1: there is none).
 */
void fuzz_loop(CoroutineEntry *entry, bool (*busy)(void *opaque),
               void *opaque, int peer);

#endif
