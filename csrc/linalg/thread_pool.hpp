// The process's worker threads. A job is a number of pieces. Each thread, the calling one among
// them, begins with its own run of neighbouring pieces and then takes what others have left, and
// the job is over when its pieces are: nobody waits for a worker that took none. So a processor
// that is busy with another process costs its own share of the speed and no more, while a barrier
// that all threads must reach, as at the end of an OpenMP region, costs the time slice of whoever
// is kept from it: two threads beside one busy process were measured to be up to a hundred times
// slower than one.
#pragma once

#include "linalg/types.hpp"

namespace pyae {

class ThreadPool {
 public:
  using Function = void (*)(const void* context, Index piece, int worker);

  // Calls function(context, piece, worker) for piece = 0 ... pieces-1 on at most `threads` threads;
  // `worker` tells them apart, 0 being the calling thread. No exception may leave the function.
  // `work` is roughly the cost of all pieces in nanoseconds of one thread; threads that fell
  // asleep, having had nothing to do, are woken once a while's work makes up for it. While a job is
  // running, another thread's job is done by that thread alone.
  static void run(Index pieces, int threads, double work, Function function, const void* context);

  // Whether any worker was ever started.
  static bool was_used();
};

}  // namespace pyae
