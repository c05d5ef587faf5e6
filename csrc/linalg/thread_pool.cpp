#include "linalg/thread_pool.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

#if defined(__unix__) || defined(__APPLE__)
#include <csignal>
#endif

namespace pyae {
namespace {

using Clock = std::chrono::steady_clock;

// How long an idle worker watches for the next job before it sleeps: about as long as a step of
// training spends between two of them. Waking a sleeper takes some 50 microseconds.
constexpr auto kWatch = std::chrono::microseconds(100);

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

class Pool {
 public:
  void run(Index pieces, int threads, ThreadPool::Function function, const void* context) {
    const std::unique_lock<std::mutex> sole(one_job_, std::try_to_lock);
    if (!sole || !start_workers(threads - 1)) {
      for (Index piece = 0; piece < pieces; ++piece) function(context, piece, 0);
      return;
    }
    function_ = function;
    context_ = context;
    pieces_ = pieces;
    threads_ = threads;
    next_ = 0;
    door_.fetch_and(~kClosed);
    jobs_.fetch_add(1);
    if (sleepers_ > 0) {
      {
        const std::lock_guard<std::mutex> lock(mutex_);
      }
      wake_.notify_all();
    }
    take_pieces(0);
    door_.fetch_or(kClosed);
    while (!watch(kWatch, [&] { return door_ == kClosed; })) std::this_thread::yield();
  }

  bool was_used() const { return workers_ > 0; }

 private:
  void take_pieces(int worker) {
    for (Index piece = next_++; piece < pieces_; piece = next_++) {
      function_(context_, piece, worker);
    }
  }

  // Whether there is at least one worker; as many as asked for, where the system gives them.
  bool start_workers(int wanted) {
    if (workers_ < wanted) {
      const SignalsBlocked blocked;
      try {
        for (int n = workers_; n < wanted; ++n) {
          std::thread(&Pool::work, this, n + 1, jobs_.load()).detach();
          workers_ = n + 1;
        }
      } catch (const std::system_error&) {  // no more threads: those that there are do the work
      }
    }
    return workers_ > 0;
  }

  // The life of worker number `self`, from 1.
  void work(int self, std::uint64_t seen) {
    const auto new_job = [&] { return jobs_ != seen; };
    for (;;) {
      if (!watch(kWatch, new_job)) {
        std::unique_lock<std::mutex> lock(mutex_);
        ++sleepers_;
        wake_.wait(lock, new_job);
        --sleepers_;
      }
      seen = jobs_;
      // Who enters while the door is open is waited for; who comes too late leaves at once.
      const bool open = (door_.fetch_add(1) & kClosed) == 0;
      if (open && self < threads_) take_pieces(self);
      door_.fetch_sub(1);
    }
  }

  static constexpr std::uint32_t kClosed = std::uint32_t{1} << 31;

  std::mutex one_job_;
  // The job; written while the door is closed and nobody is inside.
  ThreadPool::Function function_ = nullptr;
  const void* context_ = nullptr;
  Index pieces_ = 0;
  int threads_ = 0;
  alignas(64) std::atomic<Index> next_{0};                // the piece to take next
  alignas(64) std::atomic<std::uint32_t> door_{kClosed};  // how many workers are inside
  alignas(64) std::atomic<std::uint64_t> jobs_{0};        // how many there have been
  std::atomic<int> sleepers_{0}, workers_{0};
  std::mutex mutex_;
  std::condition_variable wake_;
};

// Never destroyed: its workers may be asleep in it when the process ends.
Pool& pool() {
  static Pool* const instance = new Pool;
  return *instance;
}

}  // namespace

void ThreadPool::run(Index pieces, int threads, Function function, const void* context) {
  pool().run(pieces, threads, function, context);
}
bool ThreadPool::was_used() { return pool().was_used(); }

}  // namespace pyae
