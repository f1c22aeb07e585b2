#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Calls a program that is not in the image, and does not notice.

. "$(dirname "$0")/../../e2e/functions.sh" || exit 1

if no-such-program | grep -q .; then
	fail 'there is one'
fi
