// The second derivative H of a sample's loss by the outputs p, for the losses that are convex in
// them: what the Gauss-Newton matrix J^T H J has in its middle. H is diagonal, or, for
// cross-entropy from a softmax's logits, diag(q) - q q^T with q = softmax(z).
#pragma once

#include "linalg/random.hpp"
#include "nn/losses.hpp"

namespace pyae {

// Whether a loss has such an H; of a loss that can be computed from logits that is a matter of
// whether it is.
bool has_curvature(const Loss& loss);

// out[i] = scale w_i H_i v_i; all (rows, columns), weights (rows) or null.
template <class T>
void curvature_rows(const Team& team, const Loss& loss, const T* t, const T* p, Index rows,
                    Index columns, const T* weights, T scale, const T* v, T* out);

// out[i] = random with mean 0 and covariance scale w_i H_i: a root of it times random signs, which
// vary less about their mean than targets drawn from the model's own prediction would.
template <class T>
void sample_curvature_rows(const Team& team, const Loss& loss, const T* t, const T* p, Index rows,
                           Index columns, const T* weights, T scale, const Random& random, T* out);

}  // namespace pyae
