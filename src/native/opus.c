/*
 * The system's libopus, found at run time: the addon builds without its headers and loads without it.
 * Streams are mono. Each call works in the caller's arrays; numbers it answers are libopus' own.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "opus.h"

#define LIBRARY "libopus.so.0"
/* opus_defines.h */
#define OPUS_BAD_ARG (-1)
#define OPUS_BUFFER_TOO_SMALL (-2)
/* RFC 6716 section 3.2.1 */
#define MAX_FRAME_OCTETS 1275

static struct {
  const char *(*version)(void);
  void *(*encoder_create)(int32_t rate, int channels, int application, int *error);
  int (*encoder_ctl)(void *encoder, int request, ...);
  int32_t (*encode)(void *encoder, const int16_t *pcm, int samples, unsigned char *data, int32_t size);
  void (*encoder_destroy)(void *encoder);
  void *(*decoder_create)(int32_t rate, int channels, int *error);
  int (*decode)(void *decoder, const unsigned char *data, int32_t size, int16_t *pcm, int samples, int fec);
  void (*decoder_destroy)(void *decoder);
} lib;
static bool found;
static pthread_once_t looked_for = PTHREAD_ONCE_INIT;

static void look_for_library(void) {
  void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
  if (!handle) return;
  const struct {
    const char *name;
    void *place;
  } symbols[] = {
      {"opus_get_version_string", &lib.version},
      {"opus_encoder_create", &lib.encoder_create},
      {"opus_encoder_ctl", &lib.encoder_ctl},
      {"opus_encode", &lib.encode},
      {"opus_encoder_destroy", &lib.encoder_destroy},
      {"opus_decoder_create", &lib.decoder_create},
      {"opus_decode", &lib.decode},
      {"opus_decoder_destroy", &lib.decoder_destroy},
  };
  found = true;
  for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
    void *symbol = dlsym(handle, symbols[i].name);
    if (!symbol) found = false;
    *(void **)symbols[i].place = symbol;
  }
}

/* What a handle points to; its state is NULL once it was freed. */
struct stream {
  void *state;
  bool encodes;
};

static void destroy(struct stream *stream) {
  if (!stream->state) return;
  if (stream->encodes) lib.encoder_destroy(stream->state);
  else lib.decoder_destroy(stream->state);
  stream->state = NULL;
}

static void finalize(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  destroy(data);
  free(data);
}

static napi_value answer(napi_env env, int32_t number) {
  napi_value value = NULL;
  napi_create_int32(env, number, &value);
  return value;
}

static napi_value handle_of(napi_env env, void *state, bool encodes) {
  napi_value handle = NULL;
  struct stream *stream = state ? malloc(sizeof *stream) : NULL;
  if (!stream) {
    destroy(&(struct stream){.state = state, .encodes = encodes});
    napi_throw_range_error(env, NULL, "expected a rate of 8, 12, 16, 24 or 48 kHz and memory for an Opus stream");
    return NULL;
  }
  *stream = (struct stream){.state = state, .encodes = encodes};
  if (napi_create_external(env, stream, finalize, NULL, &handle) != napi_ok) {
    destroy(stream);
    free(stream);
  }
  return handle;
}

/* The stream behind a handle, or NULL: not one, of the other kind, or freed. */
static void *state_of(napi_env env, napi_value handle, bool encodes) {
  void *data;
  if (napi_get_value_external(env, handle, &data) != napi_ok) return NULL;
  struct stream *stream = data;
  return stream->encodes == encodes ? stream->state : NULL;
}

static bool numbers(napi_env env, const napi_value *values, size_t count, int32_t *to) {
  for (size_t i = 0; i < count; i++) {
    if (napi_get_value_int32(env, values[i], &to[i]) != napi_ok) return false;
  }
  return true;
}

/* The elements of a typed array of one kind; NULL for anything else. */
static void *elements(napi_env env, napi_value array, napi_typedarray_type wanted, size_t *length) {
  napi_typedarray_type type;
  void *data = NULL;
  if (napi_get_typedarray_info(env, array, &type, length, &data, NULL, NULL) != napi_ok || type != wanted) {
    return NULL;
  }
  return data;
}

/* newEncoder(sampleRate: number, application: number): OpusHandle */
static napi_value js_new_encoder(napi_env env, napi_callback_info info) {
  napi_value argument[2];
  size_t count = 2;
  int32_t number[2] = {0, 0};
  void *state = NULL;
  if (napi_get_cb_info(env, info, &count, argument, NULL, NULL) == napi_ok && numbers(env, argument, 2, number)) {
    state = lib.encoder_create(number[0], 1, number[1], NULL);
  }
  return handle_of(env, state, true);
}

/* newDecoder(sampleRate: number): OpusHandle */
static napi_value js_new_decoder(napi_env env, napi_callback_info info) {
  napi_value argument[1];
  size_t count = 1;
  int32_t rate = 0;
  void *state = NULL;
  if (napi_get_cb_info(env, info, &count, argument, NULL, NULL) == napi_ok && numbers(env, argument, 1, &rate)) {
    state = lib.decoder_create(rate, 1, NULL);
  }
  return handle_of(env, state, false);
}

/* control(encoder: OpusHandle, request: number, value: number): number */
static napi_value js_control(napi_env env, napi_callback_info info) {
  napi_value argument[3];
  size_t count = 3;
  int32_t number[2];
  void *state;
  if (napi_get_cb_info(env, info, &count, argument, NULL, NULL) != napi_ok ||
      !(state = state_of(env, argument[0], true)) || !numbers(env, argument + 1, 2, number)) {
    return answer(env, OPUS_BAD_ARG);
  }
  return answer(env, lib.encoder_ctl(state, number[0], number[1]));
}

/* encode(encoder: OpusHandle, frame: Int16Array, out: Uint8Array, at: number): number */
static napi_value js_encode(napi_env env, napi_callback_info info) {
  napi_value argument[4];
  size_t count = 4, samples, size;
  int32_t at;
  void *state;
  const int16_t *pcm;
  unsigned char *out;
  if (napi_get_cb_info(env, info, &count, argument, NULL, NULL) != napi_ok ||
      !(state = state_of(env, argument[0], true)) ||
      !(pcm = elements(env, argument[1], napi_int16_array, &samples)) ||
      !(out = elements(env, argument[2], napi_uint8_array, &size)) || !numbers(env, argument + 3, 1, &at) ||
      at < 0 || samples > INT32_MAX) {
    return answer(env, OPUS_BAD_ARG);
  }
  if ((size_t)at >= size) return answer(env, OPUS_BUFFER_TOO_SMALL);
  size_t room = size - at;
  if (room > MAX_FRAME_OCTETS) room = MAX_FRAME_OCTETS;
  return answer(env, lib.encode(state, pcm, samples, out + at, room));
}

/* decode(decoder: OpusHandle, data: Uint8Array, from, octets, out: Int16Array, at, samples: number, fec: boolean): number */
static napi_value js_decode(napi_env env, napi_callback_info info) {
  napi_value argument[8];
  size_t count = 8, size, length;
  int32_t of_data[2], of_out[2];
  bool fec;
  void *state;
  if (napi_get_cb_info(env, info, &count, argument, NULL, NULL) != napi_ok ||
      !(state = state_of(env, argument[0], false)) || !numbers(env, argument + 2, 2, of_data) ||
      !numbers(env, argument + 5, 2, of_out) || napi_get_value_bool(env, argument[7], &fec) != napi_ok) {
    return answer(env, OPUS_BAD_ARG);
  }
  const unsigned char *data = elements(env, argument[1], napi_uint8_array, &size);
  int16_t *out = elements(env, argument[4], napi_int16_array, &length);
  int32_t from = of_data[0], octets = of_data[1], at = of_out[0], samples = of_out[1];
  if (from < 0 || octets < 0 || at < 0 || samples < 0 || !out || (size_t)at + samples > length ||
      (octets > 0 && (!data || (size_t)from + octets > size))) {
    return answer(env, OPUS_BAD_ARG);
  }
  return answer(env, lib.decode(state, octets > 0 ? data + from : NULL, octets, out + at, samples, fec));
}

/* free(handle: OpusHandle): void */
static napi_value js_free(napi_env env, napi_callback_info info) {
  napi_value argument[1];
  size_t count = 1;
  void *data;
  if (napi_get_cb_info(env, info, &count, argument, NULL, NULL) == napi_ok &&
      napi_get_value_external(env, argument[0], &data) == napi_ok) {
    destroy(data);
  }
  return NULL;
}

void define_opus(napi_env env, napi_value exports) {
  pthread_once(&looked_for, look_for_library);
  if (!found) return;
  napi_value opus, version;
  const napi_property_descriptor functions[] = {
      {"newEncoder", NULL, js_new_encoder, NULL, NULL, NULL, napi_enumerable, NULL},
      {"newDecoder", NULL, js_new_decoder, NULL, NULL, NULL, napi_enumerable, NULL},
      {"control", NULL, js_control, NULL, NULL, NULL, napi_enumerable, NULL},
      {"encode", NULL, js_encode, NULL, NULL, NULL, napi_enumerable, NULL},
      {"decode", NULL, js_decode, NULL, NULL, NULL, napi_enumerable, NULL},
      {"free", NULL, js_free, NULL, NULL, NULL, napi_enumerable, NULL},
  };
  if (napi_create_object(env, &opus) != napi_ok ||
      napi_create_string_latin1(env, lib.version(), NAPI_AUTO_LENGTH, &version) != napi_ok) {
    return;
  }
  napi_define_properties(env, opus, sizeof functions / sizeof *functions, functions);
  napi_set_named_property(env, opus, "version", version);
  napi_set_named_property(env, exports, "opus", opus);
}
