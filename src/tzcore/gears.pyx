# cython: language_level=3
"""Two gears for all threads of a process: out of everybody's way, or with a share of its own.

In *low* gear they are of Linux's class ``SCHED_IDLE`` (sched(7)): any other thread that wakes up
takes the processor from them at once, and a processor that runs nothing else counts as idle where
a place for it is looked for. In *high* gear they are of ``SCHED_OTHER``, with the nice value they
have. A class is a thread's own, and whoever makes a thread hands its class on, so all of
``/proc/self/task`` are shifted, and looked at again now and then.

While others use the processors up, low gear gets a share of some thousandths, so whatever must
be done in time needs the gear to come back. ``Gears.drive`` decides that in a thread that stays
in high gear and never takes Python's lock, which a starved thread may hold.
"""

import os

from libc.stdint cimport int64_t

cdef extern from *:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <dirent.h>
    #include <poll.h>
    #include <sched.h>
    #include <stdint.h>
    #include <stdlib.h>
    #include <sys/syscall.h>
    #include <time.h>
    #include <unistd.h>

    static inline void tz_store(int64_t *at, int64_t value) {
        __atomic_store_n(at, value, __ATOMIC_SEQ_CST);
    }
    static inline int64_t tz_load(const int64_t *at) {
        return __atomic_load_n(at, __ATOMIC_SEQ_CST);
    }
    static inline int64_t tz_now(void) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    }
    #ifdef __linux__
    static int tz_thread(void) { return (int)syscall(SYS_gettid); }

    /* Once more until a pass finds nothing: a thread may have been made by one not yet shifted. */
    static void tz_shift(int low, int kept, int driver) {
        int wanted = low ? SCHED_IDLE : SCHED_OTHER;
        int from = low ? SCHED_OTHER : SCHED_IDLE;
        int changed = 1;
        for (int pass = 0; changed && pass < 8; pass++) {
            DIR *tasks = opendir("/proc/self/task");
            struct dirent *entry;
            if (tasks == NULL) return;
            changed = 0;
            while ((entry = readdir(tasks)) != NULL) {
                int thread = atoi(entry->d_name);
                struct sched_param none = {0};
                if (thread <= 0 || thread == kept || thread == driver) continue;
                if (sched_getscheduler(thread) != from) continue;
                changed |= sched_setscheduler(thread, wanted, &none) == 0;
            }
            closedir(tasks);
        }
    }
    #else
    static int tz_thread(void) { return 0; }
    static void tz_shift(int low, int kept, int driver) { (void)low; (void)kept; (void)driver; }
    #endif

    static void tz_sleep(int fd, int64_t ns) {
        struct pollfd wakes = {fd, POLLIN, 0};
        int64_t told;
        if (ns <= 0) return;
        if (poll(&wakes, 1, (int)(ns / 1000000) + 1) > 0 && read(fd, &told, 8) < 0) return;
    }
    static void tz_tell(int fd) {
        int64_t one = 1;
        if (write(fd, &one, 8) < 0) return;  /* it is told already */
    }
    """
    void tz_store(int64_t* at, int64_t value) noexcept nogil
    int64_t tz_load(const int64_t* at) noexcept nogil
    int64_t tz_now() noexcept nogil
    int tz_thread() noexcept nogil
    void tz_shift(int low, int kept, int driver) noexcept nogil
    void tz_sleep(int fd, int64_t ns) noexcept nogil
    void tz_tell(int fd) noexcept nogil

cdef double NS = 1e9


cdef class Gears:
    """Shifts this process: low as long as nothing is late and nobody holds the high gear.

    One other thread than the driver may be left in high gear for good (``kept``). Times in
    seconds, moments as ``time.monotonic()`` has them:

    - ``late_s``: work that has waited for longer shifts up, and ``calm_s`` down again;
    - ``stay_s``: how long high gear lasts then at least; it doubles, up to ``longest_stay_s``,
      when work is late again within ``8 * late_s``: the processors are still somebody else's;
    - ``linger_s``: how long a hold counts after its end;
    - ``look_s``: how often threads made meanwhile are looked for.
    """

    cdef readonly int changes_fd
    """Readable (an eventfd) when the gear has changed."""
    cdef int wake_fd
    cdef int kept
    cdef int64_t late
    cdef int64_t calm
    cdef int64_t shortest_stay
    cdef int64_t stay
    cdef int64_t longest_stay
    cdef int64_t linger
    cdef int64_t look
    cdef int64_t done_until
    cdef int64_t holds
    cdef int64_t held_until
    cdef int64_t in_low
    cdef int64_t stopped

    def __cinit__(self):
        self.changes_fd = -1
        self.wake_fd = -1

    def __init__(self, *, double late_s, double calm_s, double stay_s, double longest_stay_s,
                 double linger_s, double look_s, int kept=0):
        self.late = <int64_t>(late_s * NS)
        self.calm = <int64_t>(calm_s * NS)
        self.shortest_stay = self.stay = <int64_t>(stay_s * NS)
        self.longest_stay = <int64_t>(longest_stay_s * NS)
        self.linger = <int64_t>(linger_s * NS)
        self.look = <int64_t>(look_s * NS)
        self.kept = kept
        self.done_until = tz_now()
        flags = os.EFD_CLOEXEC | os.EFD_NONBLOCK
        self.wake_fd = os.eventfd(0, flags)
        self.changes_fd = os.eventfd(0, flags)

    def __dealloc__(self):
        if self.wake_fd >= 0:
            os.close(self.wake_fd)
        if self.changes_fd >= 0:
            os.close(self.changes_fd)

    @property
    def low(self):
        """Which gear was shifted to last."""
        return tz_load(&self.in_low) != 0

    @property
    def stay_s(self):
        """How long high gear lasts at least when it was shifted to for late work the last time."""
        return tz_load(&self.stay) / NS

    def done(self, double until):
        """Whatever was to be done before the moment ``until`` is done."""
        tz_store(&self.done_until, <int64_t>(until * NS))
        if not tz_load(&self.in_low):
            tz_tell(self.wake_fd)

    def hold(self):
        """High gear from now on, until as many calls of ``release`` as of this."""
        tz_store(&self.holds, self.holds + 1)
        if tz_load(&self.in_low):
            tz_tell(self.wake_fd)

    def release(self):
        """Raises ``RuntimeError`` when nothing is held."""
        if self.holds <= 0:
            raise RuntimeError("high gear is not held")
        tz_store(&self.held_until, tz_now() + self.linger)
        tz_store(&self.holds, self.holds - 1)
        if self.holds == 0:
            tz_tell(self.wake_fd)

    def stop(self):
        """High gear for good; ends ``drive``."""
        tz_store(&self.stopped, 1)
        tz_tell(self.wake_fd)

    def drive(self):
        """Decide and shift until ``stop``; to be called in a thread of its own, once."""
        with nogil:
            self._drive()

    cdef void _drive(self) noexcept nogil:
        cdef int driver = tz_thread()
        cdef int low = 0
        cdef int wanted
        cdef int64_t stay
        cdef int64_t stays_until = 0
        cdef int64_t forget_at = 0
        cdef int64_t looked = 0
        cdef int64_t now
        cdef int64_t age
        cdef int64_t pause
        while not tz_load(&self.stopped):
            now = tz_now()
            age = now - tz_load(&self.done_until)
            wanted = low
            if tz_load(&self.holds) > 0 or now < tz_load(&self.held_until):
                wanted = 0
            if age > self.late:
                wanted = 0
                if low:
                    stay = self.shortest_stay
                    if now < forget_at:
                        stay = min(2 * self.stay, self.longest_stay)
                    tz_store(&self.stay, stay)
                    stays_until = now + stay
                    forget_at = stays_until + 8 * self.late
            elif (not low and age < self.calm and now >= stays_until
                  and tz_load(&self.holds) == 0 and now >= tz_load(&self.held_until)):
                wanted = 1
            if wanted != low or now - looked >= self.look:
                tz_shift(wanted, self.kept, driver)
                looked = now
            if wanted != low:
                low = wanted
                tz_store(&self.in_low, low)
                tz_tell(self.changes_fd)
                if low:
                    continue  # a hold that came while ``in_low`` was 0 told nobody
            pause = looked + self.look - now
            if low:
                pause = min(pause, self.late - age + 1)
            else:
                if tz_load(&self.holds) == 0 and now < tz_load(&self.held_until):
                    pause = min(pause, tz_load(&self.held_until) - now)
                if now < stays_until:
                    pause = min(pause, stays_until - now)
            tz_sleep(self.wake_fd, pause)
        tz_shift(0, self.kept, driver)
        if low:
            tz_store(&self.in_low, 0)
            tz_tell(self.changes_fd)
