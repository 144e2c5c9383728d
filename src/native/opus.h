/* The part of the addon that gives libopus. */
#include <node_api.h>

/* Sets `opus` on exports where the machine has libopus; leaves it out otherwise. */
void define_opus(napi_env env, napi_value exports);
