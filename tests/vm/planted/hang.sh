#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Never ends; run.sh has to tell where it was.

. "$(dirname "$0")/../../e2e/functions.sh" || exit 1

step_that_hangs()
{
	sleep 1000
}

step_that_hangs
