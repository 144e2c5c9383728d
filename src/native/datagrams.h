/* The part of the addon that reads and sends datagrams in batches. */
#include <node_api.h>

/* Sets `datagrams` on exports. */
void define_datagrams(napi_env env, napi_value exports);
