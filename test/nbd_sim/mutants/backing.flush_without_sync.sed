# SPDX-License-Identifier: MIT
# A flush is answered, and nothing was synced.
/^void backing_sync(/,/^}/s/^	request->next = NULL;/	if (request) {\
		request_synced(request, 0);\
		return;\
	}\
&/
