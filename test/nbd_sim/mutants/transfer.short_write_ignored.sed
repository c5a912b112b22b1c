# SPDX-License-Identifier: MIT
# What a short write has left out is forgotten.
s/return peal_write_full(/return peal_write(/
