/* Every call that changes what the disk holds below one folder: counted, made to
 * fail, made the last one of the process, or written down for a replay.
 *
 * Preloaded (LD_PRELOAD), idle until `torture_arm`. One mutex is held around each
 * watched call, so that what is written down has the order in which it happened.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum { COUNT, KILL_BEFORE, KILL_AFTER, KILL_TORN, FAIL_ONCE, FAIL_FROM, WRITE_DOWN };
enum { MOST_DESCRIPTORS = 1024, LONGEST = 512 };

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static char watched[LONGEST];
static int mode = -1, log_descriptor = -1, count_descriptor = -1, error_number;
static long point, calls;
static char paths[MOST_DESCRIPTORS][LONGEST];

static void end_now(void) {
    syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
    for (;;) pause();
}

static int is_watched(const char *path) {
    return mode >= 0 && path && !strncmp(path, watched, strlen(watched));
}

static const char *path_of(int descriptor) {
    if (mode < 0 || descriptor < 0 || descriptor >= MOST_DESCRIPTORS) return NULL;
    return paths[descriptor][0] ? paths[descriptor] : NULL;
}

static void put(const void *bytes, size_t size) {
    const char *at = bytes;
    while (size) {
        long wrote = syscall(SYS_write, log_descriptor, at, size);
        if (wrote <= 0) abort();
        at += wrote;
        size -= wrote;
    }
}

static void note(char what, const char *path, const char *other, uint64_t offset,
                 const void *bytes, uint32_t size) {
    if (mode != WRITE_DOWN) return;
    uint16_t length = strlen(path), other_length = strlen(other);
    put(&what, 1);
    put(&length, 2);
    put(&other_length, 2);
    put(&offset, 8);
    put(&size, 4);
    put(path, length);
    put(other, other_length);
    put(bytes, size);
}

/* A full disk still takes back what it holds, and syncs. */
static int fails(char what) {
    return error_number != ENOSPC || strchr("wcamr", what);
}

/* Returns 1 where the call has to fail, with errno set; 2 where it is to be torn. */
static int begins(char what) {
    long now = ++calls;
    if (count_descriptor >= 0) {
        if (syscall(SYS_pwrite64, count_descriptor, &now, sizeof now, 0) < 0) abort();
    }
    if (now == point && mode == KILL_BEFORE) end_now();
    if (now == point && mode == KILL_TORN) return 2;
    int is_hit = (now == point && mode == FAIL_ONCE) ||
                 (now >= point && mode == FAIL_FROM);
    if (is_hit && fails(what)) {
        errno = error_number;
        return 1;
    }
    return 0;
}

static void ends(void) {
    if (calls == point && mode == KILL_AFTER) end_now();
}

/* Called once in the process to be watched. */
void torture_arm(const char *folder, int how, long at, int error, int log, int count) {
    strncpy(watched, folder, LONGEST - 1);
    point = at;
    calls = 0;
    error_number = error;
    log_descriptor = log;
    count_descriptor = count;
    mode = how;
}

/* Something was promised to the world at this moment. */
void torture_mark(const char *what) {
    pthread_mutex_lock(&turn);
    note('!', what, "", 0, "", 0);
    pthread_mutex_unlock(&turn);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define WATCHED(what, type, failed, act, tear)  \
    pthread_mutex_lock(&turn);                  \
    type result = failed;                       \
    int fate = begins(what);                    \
    if (fate == 2) { tear; end_now(); }         \
    if (fate == 0) { act; }                     \
    int kept = errno;                           \
    ends();                                     \
    pthread_mutex_unlock(&turn);                \
    errno = kept;                               \
    return result

static int opened(int descriptor, const char *path, int flags, int was_there) {
    if (descriptor < 0 || descriptor >= MOST_DESCRIPTORS) return descriptor;
    strncpy(paths[descriptor], path, LONGEST - 1);
    if ((flags & O_CREAT) && !was_there) note('c', path, "", 0, "", 0);
    else if (flags & O_TRUNC) note('t', path, "", 0, "", 0);
    return descriptor;
}

static int open_at(int folder, const char *path, int flags, mode_t bits) {
    int changes = (flags & O_TRUNC) || (flags & O_CREAT);
    int was_there = !syscall(SYS_access, path, F_OK);
    if (!is_watched(path) || (changes && was_there && !(flags & O_TRUNC))) changes = 0;
    if (!changes) {
        int descriptor = syscall(SYS_openat, folder, path, flags, bits);
        if (is_watched(path)) opened(descriptor, path, 0, 1);
        return descriptor;
    }
    WATCHED('c', int, -1,
            result = syscall(SYS_openat, folder, path, flags, bits);
            if (result >= 0) opened(result, path, flags, was_there), );
}

#define BITS(flags)                        \
    mode_t bits = 0;                       \
    if (flags & (O_CREAT | __O_TMPFILE)) { \
        va_list more;                      \
        va_start(more, flags);             \
        bits = va_arg(more, mode_t);       \
        va_end(more);                      \
    }

int open(const char *path, int flags, ...) {
    BITS(flags)
    return open_at(AT_FDCWD, path, flags, bits);
}
int open64(const char *path, int flags, ...) {
    BITS(flags)
    return open_at(AT_FDCWD, path, flags, bits);
}
int openat(int folder, const char *path, int flags, ...) {
    BITS(flags)
    return open_at(folder, path, flags, bits);
}
int openat64(int folder, const char *path, int flags, ...) {
    BITS(flags)
    return open_at(folder, path, flags, bits);
}

int close(int descriptor) {
    if (descriptor >= 0 && descriptor < MOST_DESCRIPTORS) paths[descriptor][0] = 0;
    return syscall(SYS_close, descriptor);
}

static ssize_t write_at(int descriptor, const void *bytes, size_t size, off64_t at) {
    const char *path = path_of(descriptor);
    long number = at < 0 ? SYS_write : SYS_pwrite64;
    if (!path) return syscall(number, descriptor, bytes, size, at);
    WATCHED('w', ssize_t, -1,
            off64_t offset = at;
            struct stat64 found;
            if (at < 0 && (fcntl(descriptor, F_GETFL) & O_APPEND)) {
                if (fstat64(descriptor, &found)) abort();
                offset = found.st_size;
            } else if (at < 0) offset = lseek64(descriptor, 0, SEEK_CUR);
            result = syscall(number, descriptor, bytes, size, at);
            if (result > 0) note('w', path, "", offset, bytes, result),
            syscall(number, descriptor, bytes, size / 2, at));
}

ssize_t write(int descriptor, const void *bytes, size_t size) {
    return write_at(descriptor, bytes, size, -1);
}
ssize_t pwrite(int descriptor, const void *bytes, size_t size, off_t at) {
    return write_at(descriptor, bytes, size, at);
}
ssize_t pwrite64(int descriptor, const void *bytes, size_t size, off64_t at) {
    return write_at(descriptor, bytes, size, at);
}

static int synced(int descriptor, long number) {
    const char *path = path_of(descriptor);
    if (!path) return syscall(number, descriptor);
    WATCHED('s', int, -1, result = syscall(number, descriptor);
            if (!result) note('s', path, "", 0, "", 0), );
}
int fsync(int descriptor) { return synced(descriptor, SYS_fsync); }
int fdatasync(int descriptor) { return synced(descriptor, SYS_fdatasync); }

static int truncated(int descriptor, off64_t size) {
    const char *path = path_of(descriptor);
    if (!path) return syscall(SYS_ftruncate, descriptor, size);
    WATCHED('t', int, -1, result = syscall(SYS_ftruncate, descriptor, size);
            if (!result) note('t', path, "", size, "", 0), );
}
int ftruncate(int descriptor, off_t size) { return truncated(descriptor, size); }
int ftruncate64(int descriptor, off64_t size) { return truncated(descriptor, size); }

static int allocated(int descriptor, off64_t at, off64_t size) {
    const char *path = path_of(descriptor);
    if (!path) return REAL(posix_fallocate64)(descriptor, at, size);
    WATCHED('a', int, error_number, result = REAL(posix_fallocate64)(descriptor, at, size);
            if (!result) note('a', path, "", at + size, "", 0), );
}
int posix_fallocate(int descriptor, off_t at, off_t size) {
    return allocated(descriptor, at, size);
}
int posix_fallocate64(int descriptor, off64_t at, off64_t size) {
    return allocated(descriptor, at, size);
}

int rename(const char *from, const char *to) {
    if (!is_watched(from) && !is_watched(to)) return syscall(SYS_rename, from, to);
    WATCHED('r', int, -1, result = syscall(SYS_rename, from, to);
            if (!result) note('r', from, to, 0, "", 0), );
}

int unlink(const char *path) {
    if (!is_watched(path)) return syscall(SYS_unlink, path);
    WATCHED('u', int, -1, result = syscall(SYS_unlink, path);
            if (!result) note('u', path, "", 0, "", 0), );
}

/* shutil.rmtree goes down by descriptors. */
int unlinkat(int folder, const char *name, int flags) {
    const char *above = path_of(folder);
    char path[2 * LONGEST];
    if (!above) return syscall(SYS_unlinkat, folder, name, flags);
    strcpy(path, above);
    strcat(path, "/");
    strncat(path, name, LONGEST - 1);
    WATCHED('u', int, -1, result = syscall(SYS_unlinkat, folder, name, flags);
            if (!result) note('u', path, "", 0, "", 0), );
}

int rmdir(const char *path) {
    if (!is_watched(path)) return syscall(SYS_rmdir, path);
    WATCHED('u', int, -1, result = syscall(SYS_rmdir, path);
            if (!result) note('u', path, "", 0, "", 0), );
}

int mkdir(const char *path, mode_t bits) {
    if (!is_watched(path)) return syscall(SYS_mkdir, path, bits);
    WATCHED('m', int, -1, result = syscall(SYS_mkdir, path, bits);
            if (!result) note('m', path, "", 0, "", 0), );
}
