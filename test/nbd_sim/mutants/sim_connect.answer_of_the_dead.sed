# SPDX-License-Identifier: MIT
# The client takes the answer of a server that has crashed since.
s/	if (is_of_the_dead(packet))/	if (0 \&\& is_of_the_dead(packet))/
