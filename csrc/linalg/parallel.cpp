#include "linalg/parallel.hpp"

#include <omp.h>

#include <cmath>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif
#if defined(__linux__)
#include <sched.h>
#endif

namespace pyae {
namespace {

std::atomic<int> thread_limit{0};
std::atomic<bool> forked{false};

void after_fork_in_child() {
  if (ThreadPool::was_used()) forked = true;
}
const bool fork_handler_installed = [] {
#if defined(__unix__) || defined(__APPLE__)
  pthread_atfork(nullptr, nullptr, after_fork_in_child);
#endif
  return true;
}();

int affinity_count() {
#if defined(__linux__)
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return CPU_COUNT(&set);
#endif
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

// "max 100000" or "200000 100000" in cpu.max (version 2); two files in version 1.
int quota_to_threads(double quota, double period) {
  if (!(quota > 0) || !(period > 0)) return 0;
  return std::max(1, static_cast<int>(std::ceil(quota / period)));
}
int read_quota(const std::string& folder) {
  std::string quota, period;
  std::ifstream both(folder + "/cpu.max");
  if (!(both >> quota >> period)) {
    std::ifstream(folder + "/cpu.cfs_quota_us") >> quota;
    std::ifstream(folder + "/cpu.cfs_period_us") >> period;
  }
  if (quota.empty() || period.empty() || quota == "max") return 0;
  return quota_to_threads(std::strtod(quota.c_str(), nullptr),
                          std::strtod(period.c_str(), nullptr));
}
// The least quota of this process's control group and those above it; 0 when there is none.
int control_group_quota() {
#if defined(__linux__)
  int least = 0;
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // id:controllers:/path
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (!controllers.empty() && ("," + controllers + ",").find(",cpu,") == std::string::npos) {
      continue;
    }
    const std::string root =
        controllers.empty() ? "/sys/fs/cgroup" : "/sys/fs/cgroup/" + controllers;
    std::string path = line.substr(second + 1);
    for (;;) {
      const int quota = read_quota(root + path);
      if (quota > 0 && (least == 0 || quota < least)) least = quota;
      const auto slash = path.rfind('/');
      if (path.empty() || slash == std::string::npos) break;
      path.resize(slash);
    }
  }
  return least;
#else
  return 0;
#endif
}

}  // namespace

int available_threads() {
  if (forked) return 1;
  static const int quota = control_group_quota();
  int threads = std::min(omp_get_max_threads(), affinity_count());
  if (quota > 0) threads = std::min(threads, quota);
  const int limit = thread_limit;
  if (limit > 0) threads = std::min(threads, limit);
  return std::max(threads, 1);
}

void set_thread_limit(int limit) { thread_limit = limit; }
bool forked_after_threads() { return forked; }

}  // namespace pyae
