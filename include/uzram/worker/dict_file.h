/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_WORKER_DICT_FILE_H
#define UZRAM_WORKER_DICT_FILE_H

#include <uzram/device.h>
#include <uzram/types.h>
#include <uzram/util/err.h>

/**
 * uz_dict_file_read() - the dictionary that is in a file
 * @path:  of a regular file of UZ_CODEC_DICT_MIN ... UZ_CODEC_DICT_MAX bytes,
 *         from "/" on; it is not needed afterwards
 * @bytes: set on success; to be freed
 * @size:  of @bytes
 * @err:   the reason; may be NULL
 *
 * Context: any thread; reads the file, allocates.
 * Return:  0; -EINVAL whatever keeps the file from being read, as in the
 *          kernel; -ENOMEM.
 */
uz_must_check int uz_dict_file_read(const char *path, char **bytes,
				    size_t *size, struct uz_err *err);

/**
 * uz_dict_file_use() - choose a codec with the dictionary that is in a file
 * @dev:      the device
 * @priority: 0 ... UZ_PRIORITIES - 1
 * @codec:    as uz_codec_parse() takes it, without a dictionary
 * @path:     as for uz_dict_file_read()
 * @err:      the reason; may be NULL
 *
 * Context: as uz_device_set_dict(); reads the file, allocates.
 * Return:  what uz_dict_file_read() and uz_device_set_dict() return. After a
 *          failure nothing has changed.
 */
uz_must_check int uz_dict_file_use(struct uz_device *dev, unsigned int priority,
				   const char *codec, const char *path,
				   struct uz_err *err);

#endif
