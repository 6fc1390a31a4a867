// Preloaded into a process: writes down every change to files below one folder in the order it happened, and can refuse or kill one.
//
// Controlled through a file that both sides map or write (CRASH_CONTROL), little-endian:
//   0  u64 operations so far      8  i64 first operation that fails, -1: none     16  i64 first one that does not fail any more
//  24  i32 error number that a failing operation gets; 0: SIGKILL instead          28  i32 1: watch
//  32  root folder, 192 bytes, NUL-terminated     224  what is in paths that never fail, 32 bytes     256  path of the log, 256 bytes
// One entry of the log: u32 length of all that follows, u8 kind, u64 inode, u64 number (offset, size or mode), u16 length, path, u16
// length, second path, bytes. Kinds are those of enum kind.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { WRITE = 1, TRUNCATE, SYNC, CREATE, MKDIR, RENAME, LINK, SYMLINK, UNLINK, RMDIR, CHMOD };

struct control {
  volatile uint64_t count;
  volatile int64_t from, until;
  volatile int32_t error, watch;
  char root[192], spared[32];
  char log[256];
};

static struct control *control;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;
/* What this thread is about to change. */
static __thread int is_spared;

__attribute__((constructor)) static void open_control(void) {
  const char *path = getenv("CRASH_CONTROL");
  int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void *map = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (map != MAP_FAILED) control = map;
}

static void after_fork(void) { control = NULL; }
__attribute__((constructor)) static void watch_forks(void) { pthread_atfork(NULL, NULL, after_fork); }

#define REAL(name, type, ...)                                      \
  static type (*real)(__VA_ARGS__);                                \
  if (real == NULL) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

static int below_root(const char *path) {
  size_t length = strlen(control->root);
  is_spared = control->spared[0] != 0 && strstr(path, control->spared) != NULL;
  return length > 0 && strncmp(path, control->root, length) == 0 && (path[length] == '/' || path[length] == 0);
}

/* The absolute path of `path` at `dir`; 0 when it is not watched. */
static int watched_path(int dir, const char *path, char *out) {
  if (control == NULL || !control->watch) return 0;
  if (path[0] == '/') {
    snprintf(out, PATH_MAX, "%s", path);
  } else {
    char base[PATH_MAX];
    if (dir == AT_FDCWD) {
      if (getcwd(base, sizeof base) == NULL) return 0;
    } else {
      char link[64];
      snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
      ssize_t length = readlink(link, base, sizeof base - 1);
      if (length < 0) return 0;
      base[length] = 0;
    }
    if (snprintf(out, PATH_MAX, "%s/%s", base, path) >= PATH_MAX) return 0;
  }
  return below_root(out);
}

/* Path and inode behind a descriptor; 0 when it is not watched. */
static int watched_fd(int fd, char *out, struct stat *stat) {
  if (control == NULL || !control->watch) return 0;
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, out, PATH_MAX - 1);
  if (length <= 0 || out[0] != '/') return 0;
  out[length] = 0;
  return below_root(out) && fstat(fd, stat) == 0 && (S_ISREG(stat->st_mode) || S_ISDIR(stat->st_mode));
}

static void put(enum kind kind, uint64_t inode, uint64_t number, const char *path, const char *second, const void *bytes,
                size_t length) {
  if (log_fd < 0) log_fd = syscall(SYS_openat, AT_FDCWD, control->log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  uint16_t first_length = strlen(path), second_length = strlen(second);
  uint32_t all = 1 + 8 + 8 + 2 + first_length + 2 + second_length + length;
  uint8_t k = kind;
  struct iovec parts[] = {{&all, 4},           {&k, 1},
                          {&inode, 8},         {&number, 8},
                          {&first_length, 2},  {(void *)path, first_length},
                          {&second_length, 2}, {(void *)second, second_length},
                          {(void *)bytes, length}};
  if (syscall(SYS_writev, log_fd, parts, 9) != (ssize_t)all + 4) abort();
}

/* Which operations an error can come from: a full disk still removes and syncs. */
static int may_fail(enum kind kind, int error) {
  if (error == ENOSPC) return kind == WRITE || kind == CREATE || kind == MKDIR || kind == LINK || kind == SYMLINK || kind == RENAME;
  if (error == EROFS) return kind != SYNC;
  return 1;
}

static int in_fault(void) { return control->from >= 0 && (int64_t)control->count >= control->from && (int64_t)control->count < control->until; }

/* Counts an operation that is about to happen; 1 when it must fail, errno set. Under `turn`. */
static int refused(enum kind kind) {
  int hit = in_fault();
  int error = control->error;
  if (hit && error == 0) kill(getpid(), SIGKILL);
  control->count++;
  if (!hit || is_spared || !may_fail(kind, error)) return 0;
  errno = error;
  return 1;
}

#define GUARDED(is_watched, kind, call, entry)  \
  if (!(is_watched)) return call;               \
  pthread_mutex_lock(&turn);                    \
  __typeof__(call) result = -1;                 \
  if (!refused(kind)) {                         \
    result = call;                              \
    int error = errno;                          \
    if (result >= 0) entry;                     \
    errno = error;                              \
  }                                             \
  pthread_mutex_unlock(&turn);                  \
  return result

static int open_watched(int (*real)(int, const char *, int, ...), int dir, const char *path, int flags, mode_t mode) {
  char full[PATH_MAX];
  int writes = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) != 0;
  if (!writes || !watched_path(dir, path, full)) return real(dir, path, flags, mode);
  pthread_mutex_lock(&turn);
  struct stat before;
  int there = fstatat(dir, path, &before, 0) == 0;
  int makes = !there && (flags & O_CREAT) != 0, cuts = there && (flags & O_TRUNC) != 0 && before.st_size > 0;
  int fd = -1;
  if (makes || cuts ? refused(makes ? CREATE : TRUNCATE) : in_fault() && !is_spared && control->error == EROFS) {
    errno = control->error;
  } else {
    fd = real(dir, path, flags, mode);
    int error = errno;
    struct stat now;
    if (fd >= 0 && (makes || cuts) && fstat(fd, &now) == 0)
      put(makes ? CREATE : TRUNCATE, now.st_ino, makes ? now.st_mode & 07777 : 0, full, "", NULL, 0);
    errno = error;
  }
  pthread_mutex_unlock(&turn);
  return fd;
}

#define MODE_ARGUMENT                           \
  mode_t mode = 0;                              \
  if (flags & (O_CREAT | O_TMPFILE)) {          \
    va_list list;                               \
    va_start(list, flags);                      \
    mode = va_arg(list, mode_t);                \
    va_end(list);                               \
  }

static int real_openat(int dir, const char *path, int flags, ...) {
  MODE_ARGUMENT
  return syscall(SYS_openat, dir, path, flags | O_LARGEFILE, mode);
}

int open(const char *path, int flags, ...) { MODE_ARGUMENT return open_watched(real_openat, AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE_ARGUMENT return open_watched(real_openat, AT_FDCWD, path, flags, mode); }
int openat(int dir, const char *path, int flags, ...) { MODE_ARGUMENT return open_watched(real_openat, dir, path, flags, mode); }
int openat64(int dir, const char *path, int flags, ...) { MODE_ARGUMENT return open_watched(real_openat, dir, path, flags, mode); }
int creat(const char *path, mode_t mode) { return open_watched(real_openat, AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

static uint64_t position(int fd, const struct stat *stat) {
  return (fcntl(fd, F_GETFL) & O_APPEND) != 0 ? (uint64_t)stat->st_size : (uint64_t)lseek(fd, 0, SEEK_CUR);
}

ssize_t write(int fd, const void *bytes, size_t length) {
  REAL(write, ssize_t, int, const void *, size_t);
  char path[PATH_MAX];
  struct stat stat;
  if (!watched_fd(fd, path, &stat)) return real(fd, bytes, length);
  uint64_t at = position(fd, &stat);
  GUARDED(1, WRITE, real(fd, bytes, length), put(WRITE, stat.st_ino, at, path, "", bytes, result));
}

static ssize_t pwrite_watched(int fd, const void *bytes, size_t length, off64_t at) {
  REAL(pwrite64, ssize_t, int, const void *, size_t, off64_t);
  char path[PATH_MAX];
  struct stat stat;
  GUARDED(watched_fd(fd, path, &stat), WRITE, real(fd, bytes, length, at), put(WRITE, stat.st_ino, at, path, "", bytes, result));
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) { return pwrite_watched(fd, bytes, length, at); }
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) { return pwrite_watched(fd, bytes, length, at); }

/* Several buffers are written as one after the other: a cut may come between them. */
ssize_t writev(int fd, const struct iovec *parts, int count) {
  REAL(writev, ssize_t, int, const struct iovec *, int);
  char path[PATH_MAX];
  struct stat stat;
  if (!watched_fd(fd, path, &stat)) return real(fd, parts, count);
  ssize_t all = 0;
  for (int i = 0; i < count; i++) {
    ssize_t written = write(fd, parts[i].iov_base, parts[i].iov_len);
    if (written < 0) return all > 0 ? all : -1;
    all += written;
  }
  return all;
}

static ssize_t pwritev_watched(int fd, const struct iovec *parts, int count, off64_t at) {
  REAL(pwritev64, ssize_t, int, const struct iovec *, int, off64_t);
  char path[PATH_MAX];
  struct stat stat;
  if (!watched_fd(fd, path, &stat)) return real(fd, parts, count, at);
  ssize_t all = 0;
  for (int i = 0; i < count; i++) {
    ssize_t written = pwrite_watched(fd, parts[i].iov_base, parts[i].iov_len, at + all);
    if (written < 0) return all > 0 ? all : -1;
    all += written;
  }
  return all;
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) { return pwritev_watched(fd, parts, count, at); }
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) { return pwritev_watched(fd, parts, count, at); }

static int truncate_watched(int fd, off64_t size) {
  REAL(ftruncate64, int, int, off64_t);
  char path[PATH_MAX];
  struct stat stat;
  GUARDED(watched_fd(fd, path, &stat), TRUNCATE, real(fd, size), put(TRUNCATE, stat.st_ino, size, path, "", NULL, 0));
}
int ftruncate(int fd, off_t size) { return truncate_watched(fd, size); }
int ftruncate64(int fd, off64_t size) { return truncate_watched(fd, size); }

int fsync(int fd) {
  REAL(fsync, int, int);
  char path[PATH_MAX];
  struct stat stat;
  GUARDED(watched_fd(fd, path, &stat), SYNC, real(fd), put(SYNC, stat.st_ino, 0, path, "", NULL, 0));
}
int fdatasync(int fd) {
  REAL(fdatasync, int, int);
  char path[PATH_MAX];
  struct stat stat;
  GUARDED(watched_fd(fd, path, &stat), SYNC, real(fd), put(SYNC, stat.st_ino, 0, path, "", NULL, 0));
}

static int rename_watched(int from_dir, const char *from, int to_dir, const char *to) {
  char first[PATH_MAX], second[PATH_MAX];
  int watched = watched_path(from_dir, from, first) && watched_path(to_dir, to, second);
  GUARDED(watched, RENAME, (int)syscall(SYS_renameat, from_dir, from, to_dir, to), put(RENAME, 0, 0, first, second, NULL, 0));
}
int rename(const char *from, const char *to) { return rename_watched(AT_FDCWD, from, AT_FDCWD, to); }
int renameat(int from_dir, const char *from, int to_dir, const char *to) { return rename_watched(from_dir, from, to_dir, to); }

static int link_watched(int from_dir, const char *from, int to_dir, const char *to, int flags) {
  char first[PATH_MAX], second[PATH_MAX];
  int watched = watched_path(from_dir, from, first) && watched_path(to_dir, to, second);
  GUARDED(watched, LINK, (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags), put(LINK, 0, 0, first, second, NULL, 0));
}
int link(const char *from, const char *to) { return link_watched(AT_FDCWD, from, AT_FDCWD, to, 0); }
int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
  return link_watched(from_dir, from, to_dir, to, flags);
}

static int symlink_watched(const char *target, int dir, const char *path) {
  char full[PATH_MAX];
  GUARDED(watched_path(dir, path, full), SYMLINK, (int)syscall(SYS_symlinkat, target, dir, path),
          put(SYMLINK, 0, 0, full, target, NULL, 0));
}
int symlink(const char *target, const char *path) { return symlink_watched(target, AT_FDCWD, path); }
int symlinkat(const char *target, int dir, const char *path) { return symlink_watched(target, dir, path); }

static int unlink_watched(int dir, const char *path, int flags) {
  char full[PATH_MAX];
  enum kind kind = (flags & AT_REMOVEDIR) != 0 ? RMDIR : UNLINK;
  struct stat stat;
  int there = watched_path(dir, path, full) && fstatat(dir, path, &stat, AT_SYMLINK_NOFOLLOW) == 0;
  GUARDED(there, kind, (int)syscall(SYS_unlinkat, dir, path, flags), put(kind, 0, 0, full, "", NULL, 0));
}
int unlink(const char *path) { return unlink_watched(AT_FDCWD, path, 0); }
int unlinkat(int dir, const char *path, int flags) { return unlink_watched(dir, path, flags); }
int rmdir(const char *path) { return unlink_watched(AT_FDCWD, path, AT_REMOVEDIR); }

static int mkdir_watched(int dir, const char *path, mode_t mode) {
  char full[PATH_MAX];
  struct stat stat;
  int makes = watched_path(dir, path, full) && fstatat(dir, path, &stat, AT_SYMLINK_NOFOLLOW) != 0;
  GUARDED(makes, MKDIR, (int)syscall(SYS_mkdirat, dir, path, mode), put(MKDIR, 0, mode, full, "", NULL, 0));
}
int mkdir(const char *path, mode_t mode) { return mkdir_watched(AT_FDCWD, path, mode); }
int mkdirat(int dir, const char *path, mode_t mode) { return mkdir_watched(dir, path, mode); }

int chmod(const char *path, mode_t mode) {
  char full[PATH_MAX];
  GUARDED(watched_path(AT_FDCWD, path, full), CHMOD, (int)syscall(SYS_fchmodat, AT_FDCWD, path, mode),
          put(CHMOD, 0, mode, full, "", NULL, 0));
}
int fchmod(int fd, mode_t mode) {
  char path[PATH_MAX];
  struct stat stat;
  GUARDED(watched_fd(fd, path, &stat), CHMOD, (int)syscall(SYS_fchmod, fd, mode), put(CHMOD, 0, mode, path, "", NULL, 0));
}
