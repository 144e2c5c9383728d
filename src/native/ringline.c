/*
 * What Node cannot reach, as one Node-API addon. Each function is thin: it does its system calls and
 * answers with a number, negative for an error (-errno); index.ts makes errors of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <node_api.h>

#include "datagrams.h"
#include "opus.h"

/* The highest that needs no privilege (socket(7)); on a plain queue it goes first. */
#define PRIORITY_INTERACTIVE 6

/* The code point is the upper six bits of the field (RFC 2474 section 3). */
#define DSCP_SHIFT 2

/* A literal address with its zone, as in fe80::1%wlan0. */
#define ADDRESS_MAX 128

/* Bound to ::, a socket is one of IPv4 too. */
static int mark(int fd, const struct sockaddr *local, int dscp) {
  int field = dscp << DSCP_SHIFT;
  int only = local->sa_family == AF_INET6 &&
             !IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)local)->sin6_addr);
  if (local->sa_family == AF_INET6 &&
      (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) != 0 ||
       setsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &field, sizeof field) != 0)) {
    return -1;
  }
  return only ? 0 : setsockopt(fd, IPPROTO_IP, IP_TOS, &field, sizeof field);
}

static int open_marked_udp_socket(const char *address, uint32_t port, int dscp) {
  char service[sizeof "65535"];
  snprintf(service, sizeof service, "%u", port & 0xffff);
  struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
  struct addrinfo *local;
  if (getaddrinfo(address, service, &hints, &local) != 0) return -EINVAL;

  int fd = socket(local->ai_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int result = fd;
  if (fd < 0) {
    result = -errno;
  } else {
    int priority = PRIORITY_INTERACTIVE;
    if (mark(fd, local->ai_addr, dscp) != 0 ||
        bind(fd, local->ai_addr, local->ai_addrlen) != 0) {
      result = -errno;
      close(fd);
    } else {
      /* Only a favour of the local queue: the mark alone does without it. */
      setsockopt(fd, SOL_SOCKET, SO_PRIORITY, &priority, sizeof priority);
    }
  }
  freeaddrinfo(local);
  return result;
}

static int socket_dscp(int fd) {
  int field = 0, family = 0;
  socklen_t size = sizeof family;
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) != 0) return -errno;
  size = sizeof field;
  int failed = family == AF_INET6
                   ? getsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &field, &size)
                   : getsockopt(fd, IPPROTO_IP, IP_TOS, &field, &size);
  return failed ? -errno : field >> DSCP_SHIFT;
}

static napi_value answer(napi_env env, int32_t number) {
  napi_value value = NULL;
  napi_create_int32(env, number, &value);
  return value;
}

/* openMarkedUdpSocket(address: string, port: number, dscp: number): number */
static napi_value js_open_marked_udp_socket(napi_env env, napi_callback_info info) {
  napi_value argument[3];
  size_t count = 3, length;
  char address[ADDRESS_MAX];
  uint32_t port;
  int32_t dscp;
  if (napi_get_cb_info(env, info, &count, argument, NULL, NULL) != napi_ok || count < 3 ||
      napi_get_value_string_latin1(env, argument[0], address, sizeof address, &length) != napi_ok ||
      napi_get_value_uint32(env, argument[1], &port) != napi_ok || port > 65535 ||
      napi_get_value_int32(env, argument[2], &dscp) != napi_ok || dscp < 0 || dscp > 63) {
    return answer(env, -EINVAL);
  }
  return answer(env, open_marked_udp_socket(address, port, dscp));
}

/* socketDscp(fd: number): number */
static napi_value js_socket_dscp(napi_env env, napi_callback_info info) {
  napi_value argument[1];
  size_t count = 1;
  int32_t fd;
  if (napi_get_cb_info(env, info, &count, argument, NULL, NULL) != napi_ok || count < 1 ||
      napi_get_value_int32(env, argument[0], &fd) != napi_ok) {
    return answer(env, -EINVAL);
  }
  return answer(env, socket_dscp(fd));
}

static napi_value js_read_clock(napi_env env, napi_callback_info info) {
  void *cell = NULL;
  napi_get_cb_info(env, info, NULL, NULL, NULL, &cell);
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  *(double *)cell = now.tv_sec * 1e3 + now.tv_nsec / 1e6;
  return NULL;
}

/*
 * openClock(cell: Float64Array): () => void, which writes monotonic ms to the cell: a number that is returned is made
 * anew on the heap each time. Whoever calls it keeps the cell.
 */
static napi_value js_open_clock(napi_env env, napi_callback_info info) {
  napi_value argument[1], read;
  size_t count = 1, length = 0;
  napi_typedarray_type type;
  void *cell;
  if (napi_get_cb_info(env, info, &count, argument, NULL, NULL) != napi_ok || count < 1 ||
      napi_get_typedarray_info(env, argument[0], &type, &length, &cell, NULL, NULL) != napi_ok ||
      type != napi_float64_array || length < 1 ||
      napi_create_function(env, "readClock", NAPI_AUTO_LENGTH, js_read_clock, cell, &read) != napi_ok) {
    return answer(env, -EINVAL);
  }
  return read;
}

/* Holds no state of its own, so each thread may load it. */
NAPI_MODULE_INIT() {
  const napi_property_descriptor functions[] = {
      {"openMarkedUdpSocket", NULL, js_open_marked_udp_socket, NULL, NULL, NULL, napi_enumerable, NULL},
      {"openClock", NULL, js_open_clock, NULL, NULL, NULL, napi_enumerable, NULL},
      {"socketDscp", NULL, js_socket_dscp, NULL, NULL, NULL, napi_enumerable, NULL},
  };
  napi_define_properties(env, exports, sizeof functions / sizeof *functions, functions);
  define_datagrams(env, exports);
  define_opus(env, exports);
  return exports;
}
