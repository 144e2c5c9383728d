/*
 * Datagrams of many sockets, read and sent in batches: one call into C a tick instead of one into JavaScript a packet.
 * Sockets are polled by epoll and read by recvmmsg into an array that JavaScript sees too; datagram-batch.ts has the
 * layout. A socket is read so many times a tick at most: a flood of one costs the others nothing.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "datagrams.h"

/* A literal address with its zone, as in fe80::1%wlan0. */
#define ADDRESS_MAX 128

/* The layout of an entry, which datagram-batch.ts knows as well. */
#define ENTRY_OCTETS 2048
#define DATA_AT 96
#define DATA_MAX (ENTRY_OCTETS - DATA_AT)

/* Datagrams read of one socket at a time, and in one tick. */
#define READ_AT_ONCE 8
#define READ_IN_TICK 32
#define READY_AT_ONCE 64

struct entry {
  int32_t slot;
  int32_t octets;  /* of an outgoing one after sending: 0, or -errno */
  int32_t familiar; /* whether it came from where we send to */
  int32_t port;
  double age_ms;
  char address[DATA_AT - 24]; /* of who is not familiar: numbers as inet_ntop writes them */
  uint8_t data[DATA_MAX];
};
_Static_assert(sizeof(struct entry) == ENTRY_OCTETS, "an entry is as long as datagram-batch.ts takes it for");

struct slot {
  int fd; /* -1: free */
  int read; /* in this tick */
  socklen_t remote_size; /* 0: none yet */
  struct sockaddr_storage remote;
};

struct batch {
  int epoll;
  uint32_t slots_size;
  struct slot *slots;
  struct entry *inbox, *outbox;
  uint32_t inbox_size, outbox_size;
  napi_ref inbox_ref, outbox_ref;
  /* Sockets that were ready at the last poll, and how many of them were read. */
  struct epoll_event ready[READY_AT_ONCE];
  int ready_size, ready_read;
};

static napi_value answer(napi_env env, int32_t number) {
  napi_value value = NULL;
  napi_create_int32(env, number, &value);
  return value;
}

static void destroy(napi_env env, void *data, void *hint) {
  (void)hint;
  struct batch *batch = data;
  for (uint32_t i = 0; i < batch->slots_size; i++) {
    if (batch->slots[i].fd >= 0) close(batch->slots[i].fd);
  }
  if (batch->epoll >= 0) close(batch->epoll);
  if (batch->inbox_ref) napi_delete_reference(env, batch->inbox_ref);
  if (batch->outbox_ref) napi_delete_reference(env, batch->outbox_ref);
  free(batch->slots);
  free(batch);
}

static struct batch *batch_of(napi_env env, napi_value value) {
  void *data = NULL;
  napi_valuetype type;
  if (napi_typeof(env, value, &type) != napi_ok || type != napi_external) return NULL;
  return napi_get_value_external(env, value, &data) == napi_ok ? data : NULL;
}

static struct slot *slot_of(struct batch *batch, uint32_t number) {
  if (!batch || number >= batch->slots_size || batch->slots[number].fd < 0) return NULL;
  return &batch->slots[number];
}

/* createBatch(inbox: ArrayBuffer, outbox: ArrayBuffer): External | number */
static napi_value js_create_batch(napi_env env, napi_callback_info info) {
  napi_value argument[2], made;
  size_t count = 2, inbox_octets, outbox_octets;
  void *inbox, *outbox;
  if (napi_get_cb_info(env, info, &count, argument, NULL, NULL) != napi_ok || count < 2 ||
      napi_get_arraybuffer_info(env, argument[0], &inbox, &inbox_octets) != napi_ok ||
      napi_get_arraybuffer_info(env, argument[1], &outbox, &outbox_octets) != napi_ok ||
      inbox_octets < ENTRY_OCTETS || outbox_octets < ENTRY_OCTETS) {
    return answer(env, -EINVAL);
  }
  struct batch *batch = calloc(1, sizeof *batch);
  if (!batch) return answer(env, -ENOMEM);
  batch->inbox = inbox;
  batch->outbox = outbox;
  batch->inbox_size = inbox_octets / ENTRY_OCTETS;
  batch->outbox_size = outbox_octets / ENTRY_OCTETS;
  batch->epoll = epoll_create1(EPOLL_CLOEXEC);
  int failed = batch->epoll < 0 ? -errno : 0;
  if (failed || napi_create_reference(env, argument[0], 1, &batch->inbox_ref) != napi_ok ||
      napi_create_reference(env, argument[1], 1, &batch->outbox_ref) != napi_ok ||
      napi_create_external(env, batch, destroy, NULL, &made) != napi_ok) {
    destroy(env, batch, NULL);
    return answer(env, failed ? failed : -ENOMEM);
  }
  return made;
}

static int add(struct batch *batch, int fd) {
  uint32_t number = 0;
  while (number < batch->slots_size && batch->slots[number].fd >= 0) number++;
  if (number == batch->slots_size) {
    uint32_t size = batch->slots_size ? 2 * batch->slots_size : 16;
    struct slot *slots = realloc(batch->slots, size * sizeof *slots);
    if (!slots) return -ENOMEM;
    for (uint32_t i = batch->slots_size; i < size; i++) slots[i].fd = -1;
    batch->slots = slots;
    batch->slots_size = size;
  }
  int yes = 1;
  setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &yes, sizeof yes);
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = number};
  if (epoll_ctl(batch->epoll, EPOLL_CTL_ADD, fd, &event) != 0) return -errno;
  batch->slots[number] = (struct slot){.fd = fd};
  return (int)number;
}

/* add(batch, fd: number): number, the slot; the descriptor is the batch's from now on */
static napi_value js_batch_add(napi_env env, napi_callback_info info) {
  napi_value argument[2];
  size_t count = 2;
  int32_t fd;
  struct batch *batch;
  if (napi_get_cb_info(env, info, &count, argument, NULL, NULL) != napi_ok || count < 2 ||
      !(batch = batch_of(env, argument[0])) ||
      napi_get_value_int32(env, argument[1], &fd) != napi_ok) {
    return answer(env, -EINVAL);
  }
  return answer(env, add(batch, fd));
}

/* remove(batch, slot: number): number; closes the socket */
static napi_value js_batch_remove(napi_env env, napi_callback_info info) {
  napi_value argument[2];
  size_t count = 2;
  uint32_t number;
  struct slot *slot;
  if (napi_get_cb_info(env, info, &count, argument, NULL, NULL) != napi_ok || count < 2 ||
      napi_get_value_uint32(env, argument[1], &number) != napi_ok ||
      !(slot = slot_of(batch_of(env, argument[0]), number))) {
    return answer(env, -EINVAL);
  }
  close(slot->fd);
  slot->fd = -1;
  return answer(env, 0);
}

/* setRemote(batch, slot: number, address: string, port: number): number */
static napi_value js_batch_set_remote(napi_env env, napi_callback_info info) {
  napi_value argument[4];
  size_t count = 4, length;
  uint32_t number, port;
  char address[ADDRESS_MAX], service[sizeof "65535"];
  struct slot *slot;
  if (napi_get_cb_info(env, info, &count, argument, NULL, NULL) != napi_ok || count < 4 ||
      napi_get_value_uint32(env, argument[1], &number) != napi_ok ||
      napi_get_value_string_latin1(env, argument[2], address, sizeof address, &length) != napi_ok ||
      napi_get_value_uint32(env, argument[3], &port) != napi_ok || port == 0 || port > 65535 ||
      !(slot = slot_of(batch_of(env, argument[0]), number))) {
    return answer(env, -EINVAL);
  }
  snprintf(service, sizeof service, "%u", port);
  struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
  struct addrinfo *found;
  if (getaddrinfo(address, service, &hints, &found) != 0) return answer(env, -EINVAL);
  memcpy(&slot->remote, found->ai_addr, found->ai_addrlen);
  slot->remote_size = found->ai_addrlen;
  freeaddrinfo(found);
  return answer(env, 0);
}

static int is_same(const struct sockaddr_storage *a, const struct sockaddr_storage *b) {
  if (a->ss_family != b->ss_family) return 0;
  if (a->ss_family == AF_INET) {
    const struct sockaddr_in *x = (const void *)a, *y = (const void *)b;
    return x->sin_port == y->sin_port && x->sin_addr.s_addr == y->sin_addr.s_addr;
  }
  const struct sockaddr_in6 *x = (const void *)a, *y = (const void *)b;
  return x->sin6_port == y->sin6_port && x->sin6_scope_id == y->sin6_scope_id &&
         memcmp(&x->sin6_addr, &y->sin6_addr, sizeof x->sin6_addr) == 0;
}

static void write_source(struct entry *entry, const struct sockaddr_storage *from) {
  if (from->ss_family == AF_INET) {
    const struct sockaddr_in *source = (const void *)from;
    inet_ntop(AF_INET, &source->sin_addr, entry->address, sizeof entry->address);
    entry->port = ntohs(source->sin_port);
    return;
  }
  const struct sockaddr_in6 *source = (const void *)from;
  char written[INET6_ADDRSTRLEN], name[IF_NAMESIZE];
  inet_ntop(AF_INET6, &source->sin6_addr, written, sizeof written);
  entry->port = ntohs(source->sin6_port);
  if (source->sin6_scope_id && if_indextoname(source->sin6_scope_id, name)) {
    snprintf(entry->address, sizeof entry->address, "%s%%%s", written, name);
  } else {
    snprintf(entry->address, sizeof entry->address, "%s", written);
  }
}

static double age_of(struct msghdr *message, const struct timespec *now) {
  for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS) continue;
    struct timespec then;
    memcpy(&then, CMSG_DATA(c), sizeof then);
    double age = (now->tv_sec - then.tv_sec) * 1e3 + (now->tv_nsec - then.tv_nsec) / 1e6;
    return age > 0 ? age : 0; /* the clock was set meanwhile */
  }
  return 0;
}

/* Reads one socket into the entries from `at`; answers how many were filled. */
static uint32_t read_slot(struct batch *batch, uint32_t number, uint32_t at, const struct timespec *now) {
  struct slot *slot = slot_of(batch, number);
  if (!slot) return 0;
  uint32_t room = batch->inbox_size - at;
  int wanted = READ_IN_TICK - slot->read;
  if (wanted > READ_AT_ONCE) wanted = READ_AT_ONCE;
  if (wanted > (int)room) wanted = (int)room;
  if (wanted <= 0) return 0;

  struct mmsghdr messages[READ_AT_ONCE];
  struct iovec parts[READ_AT_ONCE];
  struct sockaddr_storage sources[READ_AT_ONCE];
  union { char octets[CMSG_SPACE(sizeof(struct timespec))]; struct cmsghdr align; } control[READ_AT_ONCE];
  memset(messages, 0, sizeof messages[0] * (size_t)wanted);
  for (int i = 0; i < wanted; i++) {
    parts[i] = (struct iovec){.iov_base = batch->inbox[at + i].data, .iov_len = DATA_MAX};
    messages[i].msg_hdr.msg_name = &sources[i];
    messages[i].msg_hdr.msg_namelen = sizeof sources[i];
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
    messages[i].msg_hdr.msg_control = &control[i];
    messages[i].msg_hdr.msg_controllen = sizeof control[i];
  }
  int got = recvmmsg(slot->fd, messages, (unsigned)wanted, MSG_DONTWAIT, NULL);
  if (got < 0) {
    /* ECONNREFUSED of a datagram sent before, and the like: told as an entry without octets. */
    if (errno == EAGAIN || errno == EINTR) return 0;
    slot->read++;
    batch->inbox[at] = (struct entry){.slot = (int32_t)number, .octets = -errno};
    return 1;
  }
  slot->read += got;
  for (int i = 0; i < got; i++) {
    struct entry *entry = &batch->inbox[at + i];
    entry->slot = (int32_t)number;
    /* What was longer than any packet of ours is no packet: an empty one is not either. */
    entry->octets = messages[i].msg_hdr.msg_flags & MSG_TRUNC ? 0 : (int32_t)messages[i].msg_len;
    entry->familiar = slot->remote_size && is_same(&sources[i], &slot->remote);
    entry->age_ms = age_of(&messages[i].msg_hdr, now);
    if (!entry->familiar) write_source(entry, &sources[i]);
  }
  return (uint32_t)got;
}

static int receive(struct batch *batch, int begin) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (begin) {
    batch->ready_size = batch->ready_read = 0;
    for (uint32_t i = 0; i < batch->slots_size; i++) batch->slots[i].read = 0;
  }
  uint32_t filled = 0;
  /* The kernel goes round its list, so that after so many polls each socket was looked at. */
  uint32_t polls = batch->slots_size / READY_AT_ONCE + 2;
  for (;;) {
    while (batch->ready_read < batch->ready_size) {
      if (filled == batch->inbox_size) return (int)filled;
      uint32_t number = batch->ready[batch->ready_read].data.u32;
      uint32_t got = read_slot(batch, number, filled, &now);
      filled += got;
      /* A full read may have left some; but never more than a tick's share. */
      if (got < READ_AT_ONCE) batch->ready_read++;
    }
    int ready = epoll_wait(batch->epoll, batch->ready, READY_AT_ONCE, 0);
    batch->ready_read = 0;
    batch->ready_size = 0;
    if (ready <= 0 || polls-- == 0) return (int)filled;
    /* Sockets that had their share are left for the next tick. */
    for (int i = 0; i < ready; i++) {
      struct slot *slot = slot_of(batch, batch->ready[i].data.u32);
      if (slot && slot->read < READ_IN_TICK) batch->ready[batch->ready_size++] = batch->ready[i];
    }
  }
}

/* receive(batch, begin: boolean): number of entries filled; call again without `begin` while the inbox was full */
static napi_value js_batch_receive(napi_env env, napi_callback_info info) {
  napi_value argument[2];
  size_t count = 2;
  bool begin;
  struct batch *batch;
  if (napi_get_cb_info(env, info, &count, argument, NULL, NULL) != napi_ok || count < 2 ||
      !(batch = batch_of(env, argument[0])) ||
      napi_get_value_bool(env, argument[1], &begin) != napi_ok) {
    return answer(env, -EINVAL);
  }
  return answer(env, receive(batch, begin));
}

/* send(batch, count: number): number of entries that could not be sent; their octets are -errno, the others' 0 */
static napi_value js_batch_send(napi_env env, napi_callback_info info) {
  napi_value argument[2];
  size_t count = 2;
  uint32_t entries;
  struct batch *batch;
  if (napi_get_cb_info(env, info, &count, argument, NULL, NULL) != napi_ok || count < 2 ||
      !(batch = batch_of(env, argument[0])) ||
      napi_get_value_uint32(env, argument[1], &entries) != napi_ok || entries > batch->outbox_size) {
    return answer(env, -EINVAL);
  }
  int failed = 0;
  for (uint32_t i = 0; i < entries; i++) {
    struct entry *entry = &batch->outbox[i];
    struct slot *slot = slot_of(batch, (uint32_t)entry->slot);
    int octets = entry->octets;
    entry->octets = 0;
    /* A socket may have been closed since. */
    if (!slot || !slot->remote_size || octets < 0 || octets > DATA_MAX) continue;
    if (sendto(slot->fd, entry->data, (size_t)octets, MSG_DONTWAIT | MSG_NOSIGNAL,
               (struct sockaddr *)&slot->remote, slot->remote_size) < 0) {
      entry->octets = -errno;
      failed++;
    }
  }
  return answer(env, failed);
}

void define_datagrams(napi_env env, napi_value exports) {
  const napi_property_descriptor functions[] = {
      {"createBatch", NULL, js_create_batch, NULL, NULL, NULL, napi_enumerable, NULL},
      {"add", NULL, js_batch_add, NULL, NULL, NULL, napi_enumerable, NULL},
      {"remove", NULL, js_batch_remove, NULL, NULL, NULL, napi_enumerable, NULL},
      {"setRemote", NULL, js_batch_set_remote, NULL, NULL, NULL, napi_enumerable, NULL},
      {"receive", NULL, js_batch_receive, NULL, NULL, NULL, napi_enumerable, NULL},
      {"send", NULL, js_batch_send, NULL, NULL, NULL, napi_enumerable, NULL},
  };
  napi_value datagrams;
  if (napi_create_object(env, &datagrams) != napi_ok) return;
  napi_define_properties(env, datagrams, sizeof functions / sizeof *functions, functions);
  napi_set_named_property(env, exports, "datagrams", datagrams);
}
