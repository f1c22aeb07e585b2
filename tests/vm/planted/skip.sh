#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Cannot be run anywhere; planted.sh looks at what becomes of that.

. "$(dirname "$0")/../../e2e/functions.sh" || exit 1

missing planted 'what no machine has'
