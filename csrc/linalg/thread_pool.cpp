#include "linalg/thread_pool.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <system_error>
#include <thread>

#if defined(__unix__) || defined(__APPLE__)
#include <csignal>
#endif
#if defined(__linux__)
#include <sched.h>
#include <unistd.h>
#endif

namespace pyae {
namespace {

using Clock = std::chrono::steady_clock;

// How long an idle worker watches for the next job before it sleeps: about as long as a step of
// training spends between two of them. Waking a sleeper takes some 50 microseconds.
constexpr auto kWatch = std::chrono::microseconds(100);
// So much work, as its givers estimate it, has to be done without sleeping workers before they are
// woken: a lone small job would be over before they came.
constexpr double kWorthWaking = 150e3;  // nanoseconds

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Waits actively until done(), for at most `limit`; says whether it is done.
template <class Done>
bool watch(Clock::duration limit, const Done& done) {
  const auto start = Clock::now();
  do {
    for (int i = 0; i < 32; ++i) {
      if (done()) return true;
      pause();
    }
  } while (Clock::now() - start < limit);
  return done();
}

// Signals are for the threads that Python knows: the workers are started with all of them blocked.
class SignalsBlocked {
 public:
#if defined(__unix__) || defined(__APPLE__)
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
#endif
};

// Keeps the threads of a job on different processors. Linux wakes a thread on its waker's processor
// unless it finds an idle one, and does not count one that a virtual machine's host has put to
// sleep: caller and worker would share a processor for milliseconds beside one that does nothing.
#if defined(__linux__)
class Seat {
 public:
  // For the worker itself, when it starts and whenever it has been called.
  void claim() { thread_ = gettid(); }
  void sit_down() {
    if (moved_ && moved_.exchange(false)) {
      sched_setaffinity(0, sizeof(allowed_), &allowed_);
    }
    const int here = sched_getcpu();  // rarely another one, and what is not written stays cached
    if (processor_ != here) processor_ = here;
  }
  // For the caller, before the call: away from the processors `taken`, to which the worker's own is
  // added. Only until it sits down; then it may go anywhere again.
  void choose(cpu_set_t& taken, bool asleep) {
    const int last = processor_;
    const bool known = last >= 0 && last < CPU_SETSIZE;
    const bool collides = known && CPU_ISSET(last, &taken);
    if (asleep || collides) keep_from(taken);
    if (known) CPU_SET(last, &taken);
  }
  static cpu_set_t of_caller() {
    cpu_set_t taken;
    CPU_ZERO(&taken);
    const int here = sched_getcpu();
    if (here >= 0 && here < CPU_SETSIZE) CPU_SET(here, &taken);
    return taken;
  }

 private:
  void keep_from(const cpu_set_t& taken) {
    if (!moved_ && sched_getaffinity(thread_, sizeof(allowed_), &allowed_) != 0) return;
    cpu_set_t free = allowed_;
    for (int n = 0; n < CPU_SETSIZE; ++n) {
      if (CPU_ISSET(n, &taken)) CPU_CLR(n, &free);
    }
    if (CPU_COUNT(&free) == 0) return;
    moved_ = sched_setaffinity(thread_, sizeof(free), &free) == 0;
  }

  std::atomic<pid_t> thread_{0};
  std::atomic<int> processor_{-1};
  std::atomic<bool> moved_{false};
  cpu_set_t allowed_;  // where it may run, while it is moved
};
#else
class Seat {
 public:
  struct Nothing {};
  void claim() {}
  void sit_down() {}
  void choose(Nothing&, bool) {}
  static Nothing of_caller() { return {}; }
};
#endif

// Holds a flag that only one thread at a time gets; another one, or the same once more (a signal's
// handler may run within a job), does not wait for it.
class Sole {
 public:
  explicit Sole(std::atomic_flag& flag) : flag_(flag), got_(!flag.test_and_set()) {}
  ~Sole() {
    if (got_) flag_.clear();
  }
  Sole(const Sole&) = delete;
  Sole& operator=(const Sole&) = delete;
  explicit operator bool() const { return got_; }

 private:
  std::atomic_flag& flag_;
  bool got_;
};

class Pool {
 public:
  void run(Index pieces, int threads, double work, ThreadPool::Function function,
           const void* context) {
    const Sole sole(busy_);
    const int helpers = sole ? start_workers(threads - 1) : 0;
    if (helpers == 0) {
      for (Index piece = 0; piece < pieces; ++piece) function(context, piece, 0);
      return;
    }
    function_ = function;
    context_ = context;
    n_shares_ = helpers + 1;
    for (int n = 0; n < n_shares_; ++n) {
      Share& share = share_of(n);
      share.next = pieces * n / n_shares_;
      share.end = pieces * (n + 1) / n_shares_;
    }
    door_.fetch_and(~kClosed);
    missed_ += work;
    const bool wake = missed_ >= kWorthWaking;
    bool all_there = true;
    auto taken = Seat::of_caller();
    for (int n = 0; n < helpers; ++n) {
      Worker& worker = workers_[static_cast<std::size_t>(n)];
      const bool asleep = worker.asleep;
      all_there = all_there && !asleep;
      if (asleep && !wake) continue;
      worker.seat.choose(taken, asleep);
      call(worker);
    }
    if (wake || all_there) missed_ = 0;
    take_pieces(0);
    door_.fetch_or(kClosed);
    while (!watch(kWatch, [&] { return door_ == kClosed; })) std::this_thread::yield();
  }

  bool was_used() const { return n_workers_ > 0; }

 private:
  // The pieces that one thread begins with: neighbours, and the same ones in every job of so many
  // pieces and threads, so that what it made of them in the last job is still in its cache.
  struct alignas(64) Share {
    std::atomic<Index> next{0};  // the piece to take next
    Index end = 0;
  };
  struct alignas(64) Worker {
    std::atomic<std::uint64_t> calls{0};  // to how many jobs it was called
    std::atomic<bool> asleep{false};
    std::condition_variable wake;
    Seat seat;
    Share share;
  };

  Share& share_of(int thread) {
    return thread == 0 ? share_ : workers_[static_cast<std::size_t>(thread - 1)].share;
  }
  // Its own pieces first, then what the others have left.
  void take_pieces(int thread) {
    for (int n = 0; n < n_shares_; ++n) {
      Share& share = share_of((thread + n) % n_shares_);
      while (share.next < share.end) {  // a look, which does not take the number from its owner
        const Index piece = share.next++;
        if (piece < share.end) function_(context_, piece, thread);
      }
    }
  }

  void call(Worker& worker) {
    ++worker.calls;
    if (worker.asleep) {
      {
        const std::lock_guard<std::mutex> lock(mutex_);
      }  // it waits by now
      worker.wake.notify_one();
    }
  }

  // How many workers there are for a job that wants so many.
  int start_workers(int wanted) {
    if (n_workers_ < wanted) {
      const SignalsBlocked blocked;
      try {
        while (n_workers_ < wanted) {
          Worker& worker = workers_.emplace_back();
          std::thread(&Pool::work, this, std::ref(worker), n_workers_ + 1).detach();
          ++n_workers_;
        }
      } catch (const std::system_error&) {  // no more threads: those that there are do the work
        workers_.resize(static_cast<std::size_t>(n_workers_));
      }
    }
    return std::min<int>(wanted, n_workers_);
  }

  // The life of a worker; `number`, from 1, tells it apart.
  void work(Worker& self, int number) {
    self.seat.claim();
    std::uint64_t seen = 0;
    const auto called = [&] { return self.calls != seen; };
    for (;;) {
      if (!watch(kWatch, called)) {
        std::unique_lock<std::mutex> lock(mutex_);
        self.asleep = true;
        self.wake.wait(lock, called);
        self.asleep = false;
      }
      seen = self.calls;
      self.seat.sit_down();
      // Who enters while the door is open is waited for; who comes too late leaves at once, as does
      // one who was called to an earlier job and finds a later one that wants fewer.
      if ((door_.fetch_add(1) & kClosed) == 0 && number < n_shares_) take_pieces(number);
      door_.fetch_sub(1);
    }
  }

  static constexpr std::uint32_t kClosed = std::uint32_t{1} << 31;

  std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
  std::deque<Worker> workers_;  // as many as the largest job wanted; the others sleep
  std::atomic<int> n_workers_{0};
  std::mutex mutex_;
  // The job; written while the door is closed and nobody is inside.
  ThreadPool::Function function_ = nullptr;
  const void* context_ = nullptr;
  int n_shares_ = 0;
  double missed_ = 0;                                     // work that sleepers took no part in
  Share share_;                                           // the caller's
  alignas(64) std::atomic<std::uint32_t> door_{kClosed};  // how many workers are inside
};

// Never destroyed: its workers may be asleep in it when the process ends.
Pool& pool() {
  static Pool* const instance = new Pool;
  return *instance;
}

}  // namespace

void ThreadPool::run(Index pieces, int threads, double work, Function function,
                     const void* context) {
  pool().run(pieces, threads, work, function, context);
}
bool ThreadPool::was_used() { return pool().was_used(); }

}  // namespace pyae
