#include "bind/specs.hpp"

#include "core/tables.hpp"

namespace pyae {
namespace {

std::optional<Options> to_optional(const py::object& object, const char* what) {
  if (object.is_none()) return std::nullopt;
  return to_options(object.cast<py::dict>(), what);
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
  layer.activation = to_options(reader.take("activation"), "activation");
  layer.use_bias = reader.take_as<bool>("use_bias");
  layer.initializer = to_options(reader.take("kernel_initializer"), "kernel_initializer");
  layer.kernel_penalty = to_optional(reader.take("kernel_regularizer"), "kernel_regularizer");
  layer.bias_penalty = to_optional(reader.take("bias_regularizer"), "bias_regularizer");
  layer.activity_penalty = to_optional(reader.take("activity_regularizer"), "activity_regularizer");
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

}  // namespace

NetworkSpec to_network_spec(const py::dict& spec) {
  NetworkSpec network;
  for (const auto& layer : spec["layers"].cast<py::list>()) {
    network.layers.push_back(to_dense(layer.cast<py::dict>(), network.layers.size()));
  }
  if (network.layers.empty()) throw py::value_error("layers must not be empty");
  DictReader loss(spec["loss"].cast<py::dict>(), "loss");
  network.sum_reduction = loss.take_or<std::string>("reduction", "sum_over_batch_size") == "sum";
  network.loss = loss.take_options();
  if (spec.contains("precision") && !spec["precision"].is_none()) {
    const auto precision = spec["precision"].cast<std::string>();
    if (precision != "mixed_bfloat16") {
      throw py::value_error("precision must be None or 'mixed_bfloat16', got '" + precision + "'");
    }
    network.bfloat16 = true;
  }
  return network;
}

Schedule to_schedule(const py::object& object) {
  if (!py::isinstance<py::dict>(object)) {
    Constant constant;
    fill(constant, Options{"learning_rate", {{"learning_rate", object.cast<double>()}}});
    return Schedule(constant);
  }
  DictReader reader(object.cast<py::dict>(), "schedule");
  const auto boundaries = reader.take_or<std::vector<double>>("boundaries", {});
  const auto values = reader.take_or<std::vector<double>>("values", {});
  const py::object then = reader.take_or_none("then");
  const Options options = reader.take_options();
  ScheduleKind kind = make_item<ScheduleKind>(options, "schedule");
  if (auto* piecewise = std::get_if<Piecewise>(&kind)) {
    if (values.size() != boundaries.size() + 1) {
      throw py::value_error("piecewise: values must have one entry more than boundaries, got " +
                            std::to_string(values.size()) + " and " +
                            std::to_string(boundaries.size()));
    }
    piecewise->boundaries = boundaries;
    piecewise->values = values;
  }
  if (auto* warm_up = std::get_if<WarmUp>(&kind)) {
    if (then.is_none()) throw py::value_error("warm_up: 'then' is missing");
    warm_up->then = std::make_shared<Schedule>(to_schedule(then));
  }
  return Schedule(std::move(kind));
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
  return spec;
}

FitOptions to_fit_options(const py::dict& dict) {
  DictReader reader(dict, "fit options");
  FitOptions options;
  options.first_epoch = reader.take_as<Index>("first_epoch");
  options.epochs = reader.take_as<Index>("epochs");
  options.batch_size = reader.take_as<Index>("batch_size");
  options.shuffle = reader.take_as<bool>("shuffle");
  options.corruption = to_optional(reader.take("noise"), "noise");
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
  if (kind == "schedule") {
    to_schedule(spec);
  } else if (kind == "optimizer") {
    check_item(kind, to_optimizer_spec(spec).options, "optimizer");
  } else {
    check_item(kind, to_options(spec, kind), kind.c_str());
  }
}

}  // namespace pyae
