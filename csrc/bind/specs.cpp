#include "bind/specs.hpp"

namespace pyae {
namespace {

L1L2 to_l1l2(const py::object& object, const char* what) {
  L1L2 penalty;
  if (!object.is_none()) {
    fill(penalty, to_options(object.cast<py::dict>(), what));
  }
  return penalty;
}

DenseSpec to_dense(const py::dict& dict, std::size_t index) {
  DictReader reader(dict, "layer " + std::to_string(index));
  const auto type = reader.take_as<std::string>("type");
  if (type != "dense") throw py::value_error("unknown layer type '" + type + "'; known are dense");
  DenseSpec layer;
  layer.units = reader.take_as<Index>("units");
  if (layer.units < 1) {
    throw py::value_error("layer " + std::to_string(index) + ": units must be at least 1, got " +
                          std::to_string(layer.units));
  }
  layer.activation =
      make_item<Activation>(to_options(reader.take("activation"), "activation"), "activation");
  layer.use_bias = reader.take_as<bool>("use_bias");
  layer.initializer = to_options(reader.take("kernel_initializer"), "kernel_initializer");
  make_item<Initializer>(layer.initializer, "initializer");
  layer.kernel_penalty = to_l1l2(reader.take("kernel_regularizer"), "kernel_regularizer");
  layer.bias_penalty = to_l1l2(reader.take("bias_regularizer"), "bias_regularizer");
  const py::object activity = reader.take("activity_regularizer");
  if (!activity.is_none()) {
    layer.activity_penalty = make_item<ActivityPenalty>(
        to_options(activity.cast<py::dict>(), "activity_regularizer"), "activity_regularizer");
  }
  const py::object tied_to = reader.take("tied_to");
  if (!tied_to.is_none()) {
    layer.tied_to = tied_to.cast<Index>();
    if (layer.tied_to < 0) {
      throw py::value_error("layer " + std::to_string(index) +
                            ": tied_to must not be negative, got " + std::to_string(layer.tied_to));
    }
  }
  reader.finish();
  return layer;
}

Corruption to_corruption(const py::object& object) {
  if (object.is_none()) return NoCorruption{};
  return make_item<Corruption>(to_options(object.cast<py::dict>(), "noise"), "noise");
}

}  // namespace

NetworkSpec to_network_spec(const py::dict& spec) {
  NetworkSpec network;
  for (const auto& layer : spec["layers"].cast<py::list>()) {
    network.layers.push_back(to_dense(layer.cast<py::dict>(), network.layers.size()));
  }
  if (network.layers.empty()) throw py::value_error("layers must not be empty");
  DictReader loss(spec["loss"].cast<py::dict>(), "loss");
  network.sum_reduction = loss.take_or<std::string>("reduction", "sum_over_batch_size") == "sum";
  network.loss = make_item<Loss>(loss.take_options(), "loss");
  return network;
}

OptimizerSpec to_optimizer_spec(const py::dict& dict) {
  DictReader reader(dict, "optimizer");
  OptimizerSpec spec;
  spec.learning_rate = to_schedule(reader.take("learning_rate"));
  const auto clip = [&](const char* key) {
    const auto limit = reader.take_or<double>(key, 0.0);
    if (!(limit >= 0) || !std::isfinite(limit)) {
      throw py::value_error(std::string("optimizer: ") + key + " must be positive, got " +
                            format_number(limit));
    }
    return limit;
  };
  spec.clipping = {clip("clipvalue"), clip("clipnorm"), clip("global_clipnorm")};
  spec.options = reader.take_options();
  make_item<OptimizerKind>(spec.options, "optimizer");
  return spec;
}

FitOptions to_fit_options(const py::dict& dict) {
  DictReader reader(dict, "fit options");
  FitOptions options;
  options.first_epoch = reader.take_as<Index>("first_epoch");
  options.epochs = reader.take_as<Index>("epochs");
  options.batch_size = reader.take_as<Index>("batch_size");
  options.shuffle = reader.take_as<bool>("shuffle");
  options.corruption = to_corruption(reader.take("noise"));
  const py::object stop = reader.take("early_stopping");
  if (!stop.is_none()) {
    DictReader early(stop.cast<py::dict>(), "early_stopping");
    options.early_stopping.active = true;
    options.early_stopping.on_validation = early.take_as<std::string>("monitor") == "val_loss";
    options.early_stopping.patience = early.take_as<Index>("patience");
    options.early_stopping.min_delta = early.take_as<double>("min_delta");
    options.early_stopping.restore_best = early.take_as<bool>("restore_best_weights");
    early.finish();
  }
  reader.finish();
  return options;
}

void check_spec(const std::string& kind, const py::dict& spec) {
  if (kind == "activation") {
    make_item<Activation>(to_options(spec, kind), "activation");
  } else if (kind == "loss") {
    make_item<Loss>(to_options(spec, kind), "loss");
  } else if (kind == "optimizer") {
    to_optimizer_spec(spec);
  } else if (kind == "schedule") {
    to_schedule(spec);
  } else if (kind == "initializer") {
    make_item<Initializer>(to_options(spec, kind), "initializer");
  } else if (kind == "penalty") {
    make_item<ActivityPenalty>(to_options(spec, kind), "penalty");
  } else if (kind == "noise") {
    make_item<Corruption>(to_options(spec, kind), "noise");
  } else {
    throw py::value_error("unknown kind '" + kind + "'");
  }
}

}  // namespace pyae
