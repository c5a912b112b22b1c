# SPDX-License-Identifier: MIT
# A write is answered when it has been started.
/^static void write_chunk(/,/^}/s/^	request->refs++;/	request->refs += 0;/
/^static void on_written(/,/^}/s/^	request_unref(request);//
