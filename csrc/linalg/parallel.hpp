// How work is shared. What is added up is cut into pieces by its size, never by the number of
// threads, and a piece's result does not depend on who computes it: 1 thread and 8 threads give the
// same bits. Results that are independent of each other may be cut by the number of threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <type_traits>

#include "linalg/thread_pool.hpp"

namespace pyae {

// What may stop work that is under way, such as Ctrl-C. `poll` is called often and from the
// calling thread only; an implementation looks at the clock first.
class Interrupt {
 public:
  virtual ~Interrupt() = default;
  virtual bool poll() = 0;  // true: stop
};

// Thrown, from the calling thread and outside every parallel region, once an Interrupt said stop.
struct Interrupted : std::exception {
  const char* what() const noexcept override { return "interrupted"; }
};

// How many threads this process may use: the least of its processor affinity, its control group's
// quota, OMP_NUM_THREADS or a limit set in the calling thread through OpenMP (threadpoolctl does),
// and `set_thread_limit`. A process forked from one whose threads had already worked may use one:
// worker threads do not live through a fork.
int available_threads();
void set_thread_limit(int limit);  // 0: none
bool forked_after_threads();

// The threads that share a call's work, and what may interrupt it. A Team belongs to the thread
// that made it; each call has its own. 0 threads: as many as are available, which is found out when
// there is work to share.
class Team {
 public:
  explicit Team(int threads = 1, Interrupt* interrupt = nullptr)
      : threads_(forked_after_threads() ? 1 : std::max(threads, 0)), interrupt_(interrupt) {}

  int threads() const {
    if (threads_ == 0) threads_ = available_threads();
    return threads_;
  }

  // f(piece) for piece = 0 ... pieces-1, in any order, by as many threads as the work is worth.
  // `work` is the cost of all pieces together, roughly in nanoseconds of one thread. An f that
  // takes (piece, worker) is told which thread it runs on, 0 ... threads()-1, for room of its own.
  template <class F>
  void for_each(Index pieces, double work, const F& f) const {
    const int threads = threads_for(pieces, work);
    const double work_a_piece = work / static_cast<double>(pieces);
    if (threads > 1) {
      run_parallel(pieces, threads, work_a_piece, f);
    } else {
      for (Index piece = 0; piece < pieces; ++piece) {
        if (must_stop(work_a_piece)) throw Interrupted();
        call(f, piece, 0);
      }
    }
  }

  // The same over [0, size) in ranges f(begin, end) of at most `grain`.
  template <class F>
  void for_ranges(Index size, Index grain, double work_per_item, const F& f) const {
    const Index pieces = (size + grain - 1) / grain;
    for_each(pieces, work_per_item * static_cast<double>(size),
             [&](Index piece) { f(piece * grain, std::min(size, (piece + 1) * grain)); });
  }

 private:
  // Nanoseconds. Sharing a job costs some 500 where the workers watch for it; ten times that,
  // since `work` is often told too large. Looking at the clock costs 30.
  static constexpr double kWorthThread = 5e3, kWorkBetweenPolls = 20e3;

  // A fork may have come since the Team was made, in a callback.
  int threads_for(Index pieces, double work) const {
    const double worth = std::min(static_cast<double>(pieces), work / kWorthThread);
    if (worth < 2 || threads() == 1 || forked_after_threads()) return 1;
    return std::min(static_cast<int>(std::min(worth, 1e6)), threads());
  }

  // Asks the interrupt, which looks at the clock, once for every so much work. For the calling
  // thread only.
  bool must_stop(double work) const {
    if (interrupt_ == nullptr) return false;
    work_since_poll_ += work;
    if (work_since_poll_ < kWorkBetweenPolls) return false;
    work_since_poll_ = 0;
    return interrupt_->poll();
  }

  // An exception or an interrupt makes every thread skip what is left, and is thrown afterwards.
  template <class F>
  void run_parallel(Index pieces, int threads, double work_a_piece, const F& f) const {
    std::atomic<bool> stop{false};
    bool interrupted = false;
    std::exception_ptr error;
    std::mutex error_mutex;
    const auto one = [&](Index piece, int worker) {
      if (stop.load(std::memory_order_relaxed)) return;
      if (worker == 0 && must_stop(work_a_piece)) {
        interrupted = true;
        stop = true;
        return;
      }
      try {
        call(f, piece, worker);
      } catch (...) {
        const std::lock_guard<std::mutex> lock(error_mutex);
        if (!error) error = std::current_exception();
        stop = true;
      }
    };
    using One = decltype(one);
    ThreadPool::run(
        pieces, threads, work_a_piece * static_cast<double>(pieces),
        [](const void* context, Index piece, int worker) {
          (*static_cast<const One*>(context))(piece, worker);
        },
        &one);
    if (error) std::rethrow_exception(error);
    if (interrupted) throw Interrupted();
  }

  template <class F>
  static void call(const F& f, Index piece, int worker) {
    if constexpr (std::is_invocable_v<const F&, Index, int>) {
      f(piece, worker);
    } else {
      f(piece);
    }
  }

  mutable int threads_;
  Interrupt* interrupt_;
  mutable double work_since_poll_ = 0;
};

}  // namespace pyae
