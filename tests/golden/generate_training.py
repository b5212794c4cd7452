"""Golden data of training from KerasHub on JAX: gradients, optimizers, LoRA, schedules and `fit`.

    python generate_training.py [--out FOLDER]

It starts from the weights in `air_small/keras`. training/README.md describes every file and every key.
"""

import argparse
import contextlib
import math
import os
import pathlib
import re
import tempfile
import warnings

import generate_keras  # Sets the backend and the precision of matrix products; must come before keras.
import h5py
import jax
import keras
import keras_hub
import numpy as np
import tensorflow as tf
from generate_keras import as_float32, as_int32, write_json
from keras.src.optimizers.schedules import learning_rate_schedule
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).resolve().parent
PRESET = HERE / "air_small" / "keras"
SEED = 2024
STEPS = 10
ROWS, LENGTH = 3, 12
LENGTHS = [12, 7, 4]
LABELS = ("losses", "accuracies")
# Sensitivity: relative noise on all start weights, which simulates another order of summation.
NOISE = 1e-6
F = np.float32

COSINE = {"class": "CosineDecay", "kwargs": dict(initial_learning_rate=0.0, decay_steps=8, warmup_target=1e-3, warmup_steps=3, alpha=0.1)}
CONFIGS = {
    "adam": ("Adam", dict(learning_rate=1e-3)),
    "adam_default": ("Adam", dict(learning_rate=2e-5)),
    "adamw_global_clipnorm": ("AdamW", dict(learning_rate=1e-3, weight_decay=0.1, global_clipnorm=0.05)),
    "adamw_exclude": ("AdamW", dict(learning_rate=1e-3, weight_decay=0.1)),
    "adam_clipnorm": ("Adam", dict(learning_rate=1e-3, clipnorm=0.02)),
    "adam_clipvalue": ("Adam", dict(learning_rate=1e-3, clipvalue=0.002)),
    "adam_amsgrad": ("Adam", dict(learning_rate=1e-3, amsgrad=True)),
    "sgd": ("SGD", dict(learning_rate=0.1)),
    "sgd_clipnorm": ("SGD", dict(learning_rate=0.1, clipnorm=0.02)),
    "sgd_clipvalue": ("SGD", dict(learning_rate=0.1, clipvalue=0.002)),
    "sgd_global_clipnorm": ("SGD", dict(learning_rate=0.1, global_clipnorm=0.05)),
    "sgd_momentum": ("SGD", dict(learning_rate=0.05, momentum=0.9)),
    "sgd_nesterov": ("SGD", dict(learning_rate=0.05, momentum=0.9, nesterov=True)),
    "sgd_weight_decay": ("SGD", dict(learning_rate=0.1, weight_decay=0.1)),
    "adafactor": ("Adafactor", dict(learning_rate=1e-2)),
    "adafactor_plain": ("Adafactor", dict(learning_rate=1e-2, relative_step=False)),
    "lion": ("Lion", dict(learning_rate=1e-4, weight_decay=0.1)),
    "rmsprop": ("RMSprop", dict(learning_rate=1e-3)),
    "rmsprop_centered": ("RMSprop", dict(learning_rate=1e-3, momentum=0.9, centered=True)),
    "adam_accumulation": ("Adam", dict(learning_rate=1e-3, gradient_accumulation_steps=2)),
    "adam_accumulation_schedule": ("Adam", dict(learning_rate=COSINE, gradient_accumulation_steps=2)),
    "adam_accumulation_ema": ("Adam", dict(learning_rate=1e-3, gradient_accumulation_steps=2, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=3)),
    "adam_ema": ("Adam", dict(learning_rate=1e-3, use_ema=True, ema_momentum=0.9)),
    "adam_ema_overwrite": ("Adam", dict(learning_rate=1e-3, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=3)),
    "adam_schedule": ("Adam", dict(learning_rate=COSINE)),
}
EXCLUDED_NAMES = ["bias", "gamma", "beta"]

SCHEDULES = [
    ("CosineDecay", dict(initial_learning_rate=0.1, decay_steps=10)),
    ("CosineDecay", dict(initial_learning_rate=0.1, decay_steps=10, alpha=0.2)),
    ("CosineDecay", dict(initial_learning_rate=0.0, decay_steps=8, alpha=0.1, warmup_target=0.001, warmup_steps=3)),
    ("CosineDecay", dict(initial_learning_rate=0.01, decay_steps=6, alpha=0.0, warmup_target=0.1, warmup_steps=4)),
    ("CosineDecay", dict(initial_learning_rate=0.1, decay_steps=10, warmup_target=None, warmup_steps=4)),
    ("PolynomialDecay", dict(initial_learning_rate=0.1, decay_steps=10)),
    ("PolynomialDecay", dict(initial_learning_rate=0.1, decay_steps=10, end_learning_rate=0.01, power=2.0)),
    ("PolynomialDecay", dict(initial_learning_rate=0.1, decay_steps=4, end_learning_rate=0.01, power=1.0, cycle=True)),
    ("PolynomialDecay", dict(initial_learning_rate=0.1, decay_steps=4, end_learning_rate=0.01, power=0.5, cycle=True)),
    ("ExponentialDecay", dict(initial_learning_rate=0.1, decay_steps=4, decay_rate=0.5)),
    ("ExponentialDecay", dict(initial_learning_rate=0.1, decay_steps=4, decay_rate=0.5, staircase=True)),
    ("PiecewiseConstantDecay", dict(boundaries=[3, 7], values=[0.1, 0.01, 0.001])),
    ("PiecewiseConstantDecay", dict(boundaries=[5], values=[0.1, 0.05])),
    ("InverseTimeDecay", dict(initial_learning_rate=0.1, decay_steps=4, decay_rate=0.5)),
    ("InverseTimeDecay", dict(initial_learning_rate=0.1, decay_steps=4, decay_rate=0.5, staircase=True)),
    ("CosineDecayRestarts", dict(initial_learning_rate=0.1, first_decay_steps=4)),
    ("CosineDecayRestarts", dict(initial_learning_rate=0.1, first_decay_steps=4, t_mul=1.0, m_mul=0.5, alpha=0.1)),
    ("CosineDecayRestarts", dict(initial_learning_rate=0.1, first_decay_steps=3, t_mul=1.5, m_mul=0.9, alpha=0.0)),
]

TEXTS = [" airplane at airport", " the airport at a port in the rain", " rain", " a plane at the port", " port at port"]
VALIDATION_TEXTS = [" the plane at the airport", " airport rain", " at a"]


# --- The model, and our names of its parameters. ---


def make_model(sequence_length=None, **arguments):
    """`from_preset` of the task with `dropout=0.0` works too; the backbone is built by itself to make the rate plain."""
    backbone = keras_hub.models.GPT2Backbone.from_preset(str(PRESET), dropout=0.0)
    assert backbone.dropout == 0.0
    preprocessor = None
    if sequence_length:
        preprocessor = keras_hub.models.GPT2CausalLMPreprocessor.from_preset(str(PRESET), sequence_length=sequence_length)
        assert preprocessor.sequence_length == sequence_length
    return keras_hub.models.GPT2CausalLM(backbone=backbone, preprocessor=preprocessor, **arguments)


def our_layers(backbone):
    yield "token_embedding", backbone.token_embedding
    yield "position_embedding", backbone.position_embedding
    for i, layer in enumerate(backbone.transformer_layers):
        prefix, attention = f"transformer_layers.{i}.", layer._self_attention_layer
        yield prefix + "self_attention_layer_norm", layer._self_attention_layer_norm
        for role in ("query", "key", "value", "output"):
            yield f"{prefix}self_attention_layer.{role}_dense", getattr(attention, f"_{role}_dense")
        yield prefix + "feedforward_layer_norm", layer._feedforward_layer_norm
        yield prefix + "feedforward_intermediate_dense", layer._feedforward_intermediate_dense
        yield prefix + "feedforward_output_dense", layer._feedforward_output_dense
    yield "layer_norm", backbone.layer_norm


def variable_names(backbone):
    """id of a Keras variable -> our name."""
    names = {}
    for prefix, layer in our_layers(backbone):
        for variable in layer._trainable_variables + layer._non_trainable_variables:
            name = "position_embeddings" if prefix == "position_embedding" else variable.name
            names[id(variable)] = f"{prefix}.{name}"
    assert {id(w) for w in backbone.weights} == set(names)
    return names


def in_our_shape(name, value):
    """Heads and head dimension become one axis; LoRA factors keep the shape of Keras."""
    value = as_float32(keras.ops.convert_to_numpy(value))
    if name.endswith(("query_dense.kernel", "key_dense.kernel", "value_dense.kernel")):
        return value.reshape(value.shape[0], -1)
    if name.endswith(("query_dense.bias", "key_dense.bias", "value_dense.bias")):
        return value.reshape(-1)
    if name.endswith("output_dense.kernel") and value.ndim == 3:
        return value.reshape(-1, value.shape[-1])
    return value


def to_numpy(variable):
    return np.array(keras.ops.convert_to_numpy(variable))


def rate_of(lm):
    return float(to_numpy(lm.optimizer.learning_rate))


def named(lm, variables, values=None):
    names = variable_names(lm.backbone)
    values = variables if values is None else values
    return {names[id(v)]: in_our_shape(names[id(v)], x) for v, x in zip(variables, values)}


def largest_differences(a, b):
    """Largest differences of the parameters, and of the key biases, whose true gradient is zero."""
    result = {"others": 0.0, "key_bias": 0.0}
    for name in a:
        kind = "key_bias" if name.endswith("key_dense.bias") else "others"
        result[kind] = max(result[kind], float(np.abs(a[name] - b[name]).max()))
    return result


def start_weights(lm):
    return [to_numpy(w) for w in lm.backbone.weights]


def perturbed(weights):
    rng = np.random.default_rng(5)
    return [(w * (1 + NOISE * rng.standard_normal(w.shape))).astype("float32") for w in weights]


# --- The common batch. ---


def make_batch(lm):
    vocabulary_size = lm.backbone.vocabulary_size
    rng = np.random.default_rng(SEED)
    mask = as_int32(np.arange(LENGTH)[None] < np.array(LENGTHS)[:, None])
    # 0 is only padding.
    ids = as_int32(rng.integers(1, vocabulary_size, (ROWS, LENGTH))) * mask
    targets = np.roll(ids, -1, axis=1)
    targets = np.where(targets == 0, as_int32(rng.integers(1, vocabulary_size, ids.shape)), targets)
    weight = rng.choice(np.array([0.5, 1.0, 2.0], "float32"), ids.shape) * mask
    # Some targets are the start weights' predictions, so that accuracies are not zero.
    best = np.array(lm({"token_ids": ids, "padding_mask": mask})).argmax(-1)
    targets = np.where(rng.random(ids.shape) < 0.35, best, targets)
    return as_int32(ids), mask, as_int32(targets), as_float32(weight)


def second_batch(batch):
    return tuple(np.ascontiguousarray(x[::-1]) for x in batch)


def model_inputs(batch):
    return {"token_ids": batch[0], "padding_mask": batch[1]}


def train_on(lm, batch):
    logs = lm.train_on_batch(model_inputs(batch), batch[2], batch[3], return_dict=True)
    assert set(logs) == {"loss", "sparse_categorical_accuracy"}
    return float(logs["loss"]), float(logs["sparse_categorical_accuracy"])


# --- Loss and gradients. ---


def gradients(lm, batch):
    ids, mask, targets, weight = batch
    lm.compile()
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    trainable = [v.value for v in lm.trainable_variables]
    other = [v.value for v in lm.non_trainable_variables]

    def loss_of(values):
        logits, _ = lm.stateless_call(values, other, model_inputs(batch), training=True)
        return loss_fn(targets, logits, sample_weight=weight), logits

    (loss, logits), grads = jax.jit(jax.value_and_grad(loss_of, has_aux=True))(trainable)

    # The same through the function that `fit` calls.
    lm._symbolic_build(data_batch=(model_inputs(batch), targets, weight))

    def through_fit(values):
        metrics = [v.value for v in lm.metrics_variables]
        optimizer = [v.value for v in lm.optimizer.variables]
        return lm.compute_loss_and_updates(
            values, other, metrics, model_inputs(batch), targets, weight, training=True, optimizer_variables=optimizer
        )

    (fit_loss, _), fit_grads = jax.jit(jax.value_and_grad(through_fit, has_aux=True))(trainable)
    assert float(fit_loss) == float(loss)
    for a, b in zip(grads, fit_grads):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-7)

    accuracy = keras.metrics.SparseCategoricalAccuracy()
    accuracy.update_state(targets, logits, sample_weight=weight)
    perplexity = keras_hub.metrics.Perplexity(from_logits=True)
    perplexity.update_state(targets, logits, sample_weight=weight)
    unweighted = keras_hub.metrics.Perplexity(from_logits=True)
    unweighted.update_state(targets, logits)
    masked = keras_hub.metrics.Perplexity(from_logits=True, mask_token_id=int(targets[0, 0]))
    masked.update_state(targets, logits)

    # The rules of loss and metrics, in float64.
    logits64 = np.array(logits, "float64")
    per_token = np.log(np.exp(logits64).sum(-1)) - np.take_along_axis(logits64, targets[..., None], -1)[..., 0]
    np.testing.assert_allclose(float(loss), (per_token * weight).sum() / weight.size, rtol=1e-6)
    np.testing.assert_allclose(float(perplexity.result()), np.exp((per_token * weight).sum() / weight.sum()), rtol=1e-5)
    correct = logits64.argmax(-1) == targets
    np.testing.assert_allclose(float(accuracy.result()), (correct * weight).sum() / weight.sum(), rtol=1e-6)
    top = np.sort(logits64, -1)
    assert (top[..., -1] - top[..., -2])[mask == 1].min() > 1e-3, "A tie would make accuracies depend on rounding."

    tensors = {f"gradient/{k}": v for k, v in named(lm, lm.trainable_variables, grads).items()}
    tensors["logits"] = as_float32(logits)
    facts = {
        "loss": float(loss),
        "accuracy": float(accuracy.result()),
        "perplexity": float(perplexity.result()),
        "perplexity_unweighted": float(unweighted.result()),
        "perplexity_mask_token_id": int(targets[0, 0]),
        "perplexity_masked": float(masked.result()),
        "gradient_global_norm": math.sqrt(sum(float((np.array(g, "float64") ** 2).sum()) for g in grads)),
    }
    norms = {k.removeprefix("gradient/"): float(np.linalg.norm(v)) for k, v in tensors.items() if k.startswith("gradient/")}
    return tensors, facts | {"gradient_norms": norms}


# --- Optimizers. ---


def make_schedule(spec):
    return getattr(keras.optimizers.schedules, spec["class"])(**spec["kwargs"])


def make_optimizer(name):
    class_name, arguments = CONFIGS[name]
    rate = arguments["learning_rate"]
    arguments = arguments | {"learning_rate": make_schedule(rate) if isinstance(rate, dict) else rate}
    optimizer = getattr(keras.optimizers, class_name)(**arguments)
    if name == "adamw_exclude":
        optimizer.exclude_from_weight_decay(var_names=EXCLUDED_NAMES)
    return optimizer


def steps_of(lm, weights, batches, initial):
    """Losses, accuracies, and learning rates of STEPS steps from `weights`, with all optimizer variables reset."""
    for variable, value in zip(lm.backbone.weights, weights):
        variable.assign(value)
    for variable, value in zip(lm.optimizer.variables, initial):
        variable.assign(value)
    results, rates = [], []
    for step in range(STEPS):
        rates.append(rate_of(lm))
        results.append(train_on(lm, batches[step % len(batches)]))
    return [r[0] for r in results], [r[1] for r in results], rates


def optimizer_steps(lm, name, weights, batch):
    lm.compile(optimizer=make_optimizer(name))
    optimizer = lm.optimizer
    optimizer.build(lm.trainable_variables)
    initial = [to_numpy(v) for v in optimizer.variables]
    batches = [batch, second_batch(batch)] if "accumulation" in name else [batch]

    def averages():
        return named(lm, lm.trainable_variables, optimizer._model_variables_moving_average) if optimizer.use_ema else {}

    _, noisy_accuracies, _ = steps_of(lm, perturbed(weights), batches, initial)
    noisy, noisy_averages = named(lm, lm.trainable_variables), averages()
    losses, accuracies, rates = steps_of(lm, weights, batches, initial)
    final, final_averages = named(lm, lm.trainable_variables), averages()
    assert all(np.isfinite(v).all() for v in final.values())
    assert accuracies == noisy_accuracies, f"{name}: an accuracy depends on rounding."

    class_name, arguments = CONFIGS[name]
    config = {k: v for k, v in optimizer.get_config().items() if k not in ("name", "learning_rate") and v not in (None, False)}
    facts = {
        "optimizer": {"class": class_name, "kwargs": arguments},
        "config": config,
        "losses": losses,
        "accuracies": accuracies,
        "learning_rates": rates,
        "largest_difference_with_noise": largest_differences(final, noisy),
    }
    if "accumulation" in name:
        facts["batches"] = [1, 2] * (STEPS // 2)
    if name == "adamw_exclude":
        names = variable_names(lm.backbone)
        facts["exclude_var_names"] = EXCLUDED_NAMES
        facts["excluded"] = sorted(names[id(v)] for v in lm.trainable_variables if not optimizer._use_weight_decay(v))
        facts["decayed"] = sorted(names[id(v)] for v in lm.trainable_variables if optimizer._use_weight_decay(v))
    if final_averages:
        facts["largest_difference_with_noise_ema"] = largest_differences(final_averages, noisy_averages)
    tensors = {f"weights/{name}/{k}": v for k, v in final.items()} | {f"ema/{name}/{k}": v for k, v in final_averages.items()}
    return tensors, facts


# --- The rules once more. ---


class Reference:
    """A second statement of the rules of the optimizers, in numpy float32; gradients from JAX. README.md says the same in words."""

    def __init__(self, lm, batch):
        self.lm = lm
        loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        other = [v.value for v in lm.non_trainable_variables]

        def loss_of(values, b):
            logits, _ = lm.stateless_call(values, other, model_inputs(b), training=True)
            return loss_fn(b[2], logits, sample_weight=b[3])

        self.gradient = jax.jit(jax.grad(loss_of))
        self.batch = batch

    def steps(self, name, start):
        """The weights and the averages after STEPS steps."""
        class_name, arguments = CONFIGS[name]
        rate, every, decay = arguments["learning_rate"], arguments.get("gradient_accumulation_steps"), arguments.get("weight_decay")
        schedule = make_schedule(rate) if isinstance(rate, dict) else lambda _: rate
        batches = [self.batch, second_batch(self.batch)] if every else [self.batch]
        variables = [w.copy() for w in start]
        state = [dict.fromkeys(("m", "v", "v_hat", "average", "r", "c"), F(0)) for _ in start]
        accumulated, averages = [F(0)] * len(start), [F(0)] * len(start)
        for iteration in range(STEPS):
            lr, k = F(schedule(iteration)), iteration // (every or 1)
            grads = [np.array(x) for x in self.gradient(variables, batches[iteration % len(batches)])]
            update = (iteration + 1) % (every or 1) == 0
            accumulated = [a + g for a, g in zip(accumulated, grads)]
            if update:
                grads = self.clip([a / F(every or 1) for a in accumulated], arguments)
                accumulated = [F(0)] * len(start)
                for i, variable in enumerate(self.lm.trainable_variables):
                    if decay is not None and not (name == "adamw_exclude" and variable.name in EXCLUDED_NAMES):
                        variables[i] = variables[i] - variables[i] * F(decay) * lr
                    change = getattr(self, class_name.lower().replace("adamw", "adam"))
                    variables[i] = variables[i] + change(grads[i], variables[i], state[i], lr, F(k + 1), arguments)
            if arguments.get("use_ema"):
                momentum = F(arguments["ema_momentum"]) if k else F(0)
                averages = [momentum * a + (1 - momentum) * w for a, w in zip(averages, variables)]
                frequency = arguments.get("ema_overwrite_frequency")
                if frequency and (k + 1) % frequency == 0:
                    variables = [a.copy() for a in averages]
        return variables, averages

    @staticmethod
    def clip(grads, arguments):
        if "clipnorm" in arguments:
            limit = F(arguments["clipnorm"])
            return [g * limit / max(np.sqrt((g * g).sum()), limit) for g in grads]
        if "global_clipnorm" in arguments:
            limit = F(arguments["global_clipnorm"])
            norm = np.sqrt(sum((g * g).sum() for g in grads))
            return [g * (limit * min(1 / norm, 1 / limit)) for g in grads]
        if "clipvalue" in arguments:
            return [np.clip(g, -F(arguments["clipvalue"]), F(arguments["clipvalue"])) for g in grads]
        return grads

    @staticmethod
    def adam(g, w, s, lr, t, arguments):
        alpha = lr * np.sqrt(1 - np.power(F(0.999), t)) / (1 - np.power(F(0.9), t))
        s["m"] = s["m"] + (g - s["m"]) * F(1 - 0.9)
        s["v"] = v = s["v"] + (g * g - s["v"]) * F(1 - 0.999)
        if arguments.get("amsgrad"):
            s["v_hat"] = v = np.maximum(s["v_hat"], v)
        return -(s["m"] * alpha / (np.sqrt(v) + F(1e-7)))

    @staticmethod
    def sgd(g, w, s, lr, t, arguments):
        momentum = F(arguments.get("momentum", 0.0))
        s["m"] = s["m"] * momentum - g * lr
        return s["m"] * momentum - g * lr if arguments.get("nesterov") else s["m"]

    @staticmethod
    def lion(g, w, s, lr, t, arguments):
        direction = np.sign(s["m"] * F(0.9) + g * (1 - F(0.9)))
        s["m"] = s["m"] * F(0.99) + g * (1 - F(0.99))
        return -(lr * direction)

    @staticmethod
    def rmsprop(g, w, s, lr, t, arguments):
        s["v"] = F(0.9) * s["v"] + F(1 - 0.9) * (g * g)
        denominator = s["v"] + F(1e-7)
        if arguments.get("centered"):
            s["average"] = F(0.9) * s["average"] + F(1 - 0.9) * g
            denominator = s["v"] - s["average"] ** 2 + F(1e-7)
        s["m"] = F(arguments.get("momentum", 0.0)) * s["m"] + lr * g / np.sqrt(denominator)
        return -s["m"]

    @staticmethod
    def adafactor(g, w, s, lr, t, arguments):
        def rms(x):
            return np.sqrt((x * x).mean())

        alpha = max(F(1e-3), rms(w)) * min(lr, 1 / np.sqrt(t))
        square, beta = g * g + F(1e-30), 1 - np.power(t, F(-0.8))
        if g.ndim >= 2:
            s["r"] = beta * s["r"] + (1 - beta) * square.mean(-1)
            s["c"] = beta * s["c"] + (1 - beta) * square.mean(-2)
            s["v"] = (s["r"] / s["r"].mean(-1, keepdims=True))[..., None] * s["c"][..., None, :]
        else:
            s["v"] = beta * s["v"] + (1 - beta) * square
        u = g / np.sqrt(s["v"])
        return -(alpha * (u / max(F(1), rms(u) / F(1))))


# --- LoRA. ---


def he_uniform_limit(shape):
    fan_in = math.prod(shape[:-1])
    return math.sqrt(6.0 / fan_in)


def hdf5_tree(path):
    rows = []

    def describe(name, item):
        row = {"name": name, "kind": "group" if isinstance(item, h5py.Group) else "dataset"}
        if isinstance(item, h5py.Dataset):
            row |= {"shape": list(item.shape), "dtype": str(item.dtype)}
            if item.shape == ():
                row["value"] = int(item[()])
        row["attributes"] = {k: str(v) for k, v in item.attrs.items()}
        rows.append(row)

    with h5py.File(path, "r") as f:
        rows.append({"name": "/", "kind": "group", "attributes": {k: str(v) for k, v in f.attrs.items()}})
        f.visititems(describe)
    return rows


def lora(name, rank, targets, adapter, batch, weights, out):
    """LoRA from the start weights: what is trainable, the start, ten steps of Adam(1e-2), the adapter file, the merge."""
    lm = make_model()
    keras.utils.set_random_seed(SEED)
    lm.backbone.enable_lora(rank, target_layer_names=targets)
    names = variable_names(lm.backbone)
    layers = [layer for layer in lm.backbone._flatten_layers(include_self=False) if layer.weights]
    paths = {id(layer): prefix for prefix, layer in our_layers(lm.backbone)}
    for i, layer in enumerate(lm.backbone.transformer_layers):
        paths[id(layer)] = f"transformer_layers.{i}"
        paths[id(layer._self_attention_layer)] = f"transformer_layers.{i}.self_attention_layer"
    factors = [v for v in lm.backbone.weights if "lora" in v.name]
    initial = named(lm, factors)
    limits = {k: he_uniform_limit(v.shape) for k, v in initial.items() if k.endswith("_a")}
    for k, v in initial.items():
        assert np.abs(v).max() <= limits[k] if k.endswith("_a") else not v.any(), k

    lm.compile(optimizer=keras.optimizers.Adam(1e-2))
    lm.optimizer.build(lm.trainable_variables)
    saved = [to_numpy(w) for w in lm.backbone.weights]
    optimizer_start = [to_numpy(v) for v in lm.optimizer.variables]
    _, noisy_accuracies, _ = steps_of(lm, perturbed(saved), [batch], optimizer_start)
    noisy = named(lm, lm.trainable_variables)
    losses, accuracies, _ = steps_of(lm, saved, [batch], optimizer_start)
    final = named(lm, lm.trainable_variables)
    assert accuracies == noisy_accuracies, f"{name}: an accuracy depends on rounding."
    trainable = [names[id(v)] for v in lm.trainable_variables]
    frozen = {k: v for k, v in named(lm, lm.backbone.weights).items() if k not in final}
    before = named(lm, lm.backbone.weights, saved)
    assert all(np.array_equal(v, before[k]) for k, v in frozen.items()), "A frozen parameter moved."
    logits = as_float32(lm(model_inputs(batch)))

    lm.backbone.save_lora_weights(str(out / adapter))
    # The adapter alone, in a fresh model: the biases, which are trained too, are not in the file.
    fresh = make_model()
    if targets is not None:
        fresh.backbone.enable_lora(rank, target_layer_names=targets)
    fresh.backbone.load_lora_weights(str(out / adapter))
    loaded_logits = as_float32(fresh(model_inputs(batch)))
    for key, variable in zip(named(fresh, fresh.trainable_variables), fresh.trainable_variables):
        if key.endswith("bias"):
            variable.assign(final[key].reshape(variable.shape))
    np.testing.assert_allclose(as_float32(fresh(model_inputs(batch))), logits, rtol=0, atol=1e-6)
    # `save_to_preset` writes the kernel with the factors merged.
    with tempfile.TemporaryDirectory() as folder:
        lm.save_to_preset(folder)
        merged = keras_hub.models.GPT2CausalLM.from_preset(folder)
        merged_weights = named(merged, merged.backbone.weights)
        merged_logits = as_float32(merged(model_inputs(batch)))
        files = sorted(p.name for p in pathlib.Path(folder).iterdir())
    lora_layers = [prefix for prefix, layer in our_layers(lm.backbone) if getattr(layer, "lora_enabled", False)]
    for prefix in lora_layers:
        expected = before[f"{prefix}.kernel"] + in_our_shape(
            f"{prefix}.kernel", final[f"{prefix}.lora_kernel_a"] @ final[f"{prefix}.lora_kernel_b"]
        )
        np.testing.assert_allclose(merged_weights[f"{prefix}.kernel"], expected, rtol=0, atol=1e-6)

    tensors = {f"{name}/initial/{k}": v for k, v in initial.items() if k.endswith("_a")}
    tensors |= {f"{name}/final/{k}": v for k, v in final.items()}
    tensors |= {f"{name}/logits": logits, f"{name}/adapter_only_logits": loaded_logits}
    facts = {
        "rank": rank,
        "target_layer_names": targets,
        "default_lora_layer_names": lm.backbone.default_lora_layer_names(),
        "optimizer": {"class": "Adam", "kwargs": {"learning_rate": 1e-2}},
        "trainable": trainable,
        "shapes": {k: list(v.shape) for k, v in initial.items()},
        "he_uniform_limits": limits,
        "losses": losses,
        "accuracies": accuracies,
        "largest_difference_with_noise": largest_differences(final, noisy),
        "lora_enabled_layers": lm.backbone._lora_enabled_layers,
        "layers": [{"index": i, "class": type(l).__name__, "name": l.name, "ours": paths[id(l)]} for i, l in enumerate(layers)],
        "adapter": adapter,
        "adapter_tree": hdf5_tree(out / adapter),
        "saved_to_preset_files": files,
        "saved_to_preset_has_lora_weights": any("lora" in k for k in merged_weights),
        "merged_logits_max_abs_diff": float(np.abs(merged_logits - logits).max()),
        "adapter_only_logits_max_abs_diff": float(np.abs(loaded_logits - logits).max()),
    }
    return tensors, facts


def lora_names():
    """Which strings `target_layer_names` match: the indices of the layers with LoRA for each string."""
    matches = {}
    tried = ["query", "key", "value", "attention_output", "feedforward_intermediate_dense", "feedforward_output_dense", "token_embedding"]
    tried += ["query_dense", "key_dense", "value_dense", "output_dense", "position_embedding", "self_attention", "layer_norm", "feedforward_layer_norm"]
    for target in tried:
        lm = make_model()
        lm.backbone.enable_lora(2, target_layer_names=[target])
        names = variable_names(lm.backbone)
        enabled = lm.backbone._lora_enabled_layers
        matches[target] = {"lora_enabled_layers": enabled, "trainable": [names[id(v)] for v in lm.trainable_variables]}
    return matches


# --- Schedules. ---


def schedules():
    result = []
    for class_name, arguments in SCHEDULES:
        schedule = getattr(learning_rate_schedule, class_name)(**arguments)
        values = [float(np.array(schedule(keras.ops.convert_to_tensor(step, dtype="int32")))) for step in range(15)]
        result.append({"class": class_name, "kwargs": arguments, "values": values})
    return result


# --- fit. ---


class Rates(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.rates = []

    def on_epoch_begin(self, epoch, logs=None):
        self.rates.append(rate_of(self.model))


def fresh_for_fit(sequence_length, learning_rate=1e-3, optimizer=None):
    lm = make_model(sequence_length)
    lm.compile(optimizer=optimizer or keras.optimizers.Adam(learning_rate), weighted_metrics=[keras.metrics.SparseCategoricalAccuracy()])
    return lm


def describe_history(history):
    return {
        "history": {k: [float(x) for x in v] for k, v in history.history.items()},
        "epoch": list(history.epoch),
        "params": {k: v for k, v in history.params.items()},
    }


def six_rows(batch):
    return tuple(np.concatenate([a, b]) for a, b in zip(batch, second_batch(batch)))


def fits(batch):
    tensors, facts = {}, {"texts": TEXTS, "validation_texts": VALIDATION_TEXTS, "sequence_length": LENGTH}

    def keep(name, lm):
        tensors.update({f"{name}/{k}": v for k, v in named(lm, lm.backbone.weights).items()})

    # Strings.
    lm = fresh_for_fit(LENGTH)
    x, y, weight = lm.preprocessor(TEXTS)
    packed = {"token_ids": as_int32(x["token_ids"]), "padding_mask": as_int32(x["padding_mask"]), "y": as_int32(y), "sample_weight": as_int32(weight)}
    facts["preprocessed"] = {k: v.tolist() for k, v in packed.items()}
    before = lm.evaluate(VALIDATION_TEXTS, batch_size=2, return_dict=True, verbose=0)
    arguments = dict(batch_size=2, epochs=2, verbose=0, validation_data=(VALIDATION_TEXTS,))
    history = lm.fit(TEXTS, shuffle=False, **arguments)
    after = lm.evaluate(VALIDATION_TEXTS, batch_size=2, return_dict=True, verbose=0)
    facts["strings"] = {"batch_size": 2, "epochs": 2, "learning_rate": 1e-3, **describe_history(history)}
    facts["strings"] |= {"evaluate_before": before, "evaluate_after": after, "iterations": int(lm.optimizer.iterations)}
    keep("strings", lm)
    trained = named(lm, lm.backbone.weights)

    # The order: `shuffle=True` gives the same, and so do single batches in the original order.
    lm = fresh_for_fit(LENGTH)
    shuffled = lm.fit(TEXTS, shuffle=True, **arguments)
    default = fresh_for_fit(LENGTH).fit(TEXTS, **arguments)
    manual, losses = fresh_for_fit(LENGTH), []
    for _ in range(2):
        for i in (0, 2, 4):
            losses.append(float(manual.train_on_batch(TEXTS[i : i + 2], return_dict=True)["loss"]))
    facts["strings"]["batch_losses"] = losses
    facts["strings"]["shuffle_true_gives_the_same"] = shuffled.history == history.history == default.history
    difference = largest_differences(trained, named(manual, manual.backbone.weights))
    facts["strings"]["train_on_batch_in_order_largest_difference"] = difference
    averaged = [float(np.dot(losses[i : i + 3], [2, 2, 1]) / 5) for i in (0, 3)]
    np.testing.assert_allclose(averaged, history.history["loss"], rtol=1e-6)

    # Batches of unequal size.
    facts["batch_sizes"] = []
    for size in (2, 3, 4, 5, 8, None):
        lm = fresh_for_fit(LENGTH)
        history = lm.fit(TEXTS, batch_size=size, epochs=1, verbose=0)
        sizes = [min(5, i + (size or 32)) - i for i in range(0, 5, size or 32)]
        manual, losses, at = fresh_for_fit(LENGTH), [], 0
        for n in sizes:
            losses.append(float(manual.train_on_batch(TEXTS[at : at + n], return_dict=True)["loss"]))
            at += n
        np.testing.assert_allclose(np.dot(losses, sizes) / 5, history.history["loss"][0], rtol=1e-6)
        facts["batch_sizes"].append({"batch_size": size, "rows": sizes, "batch_losses": losses, **describe_history(history)})

    # Arrays, with the arguments of `fit` about epochs and validation.
    ids, mask, targets, weight = six_rows(batch)
    arrays = dict(x={"token_ids": ids, "padding_mask": mask}, y=targets, sample_weight=weight)
    arguments = dict(validation_split=0.34, batch_size=2, epochs=3, initial_epoch=1, validation_freq=2)
    lm = fresh_for_fit(None)
    history = lm.fit(**arrays, **arguments, shuffle=False, verbose=0)
    facts["arrays"] = {"arguments": arguments, "learning_rate": 1e-3, **describe_history(history), "iterations": int(lm.optimizer.iterations)}
    facts["arrays"]["shuffle_true_gives_the_same"] = fresh_for_fit(None).fit(**arrays, **arguments, verbose=0).history == history.history
    keep("arrays", lm)

    # More validation arguments.
    facts["validation"] = []
    for arguments in (
        dict(validation_split=0.2),
        dict(validation_split=0.5, validation_freq=[1, 3]),
        dict(validation_split=0.5, validation_batch_size=1),
        dict(validation_split=0.5, validation_batch_size=1, validation_steps=1),
    ):
        history = fresh_for_fit(None).fit(**arrays, **arguments, batch_size=2, epochs=3, verbose=0)
        facts["validation"].append({"arguments": arguments | dict(batch_size=2, epochs=3), **describe_history(history)})

    # steps_per_epoch.
    def dataset():
        return tf.data.Dataset.from_tensor_slices((arrays["x"], targets, weight)).batch(2)

    lm = fresh_for_fit(None)
    history = lm.fit(dataset().repeat(), steps_per_epoch=2, epochs=2, verbose=0)
    manual, losses = fresh_for_fit(None), []
    for i in (0, 1, 2, 0):
        part = tuple(x[2 * i : 2 * i + 2] for x in (ids, mask, targets, weight))
        losses.append(train_on(manual, part)[0])
    np.testing.assert_allclose([np.mean(losses[:2]), np.mean(losses[2:])], history.history["loss"], rtol=1e-6)
    facts["steps_per_epoch"] = {"steps_per_epoch": 2, "epochs": 2, "batches": [0, 1, 2, 0], "batch_losses": losses, **describe_history(history)}
    keep("steps_per_epoch", lm)

    facts["short_data"] = []
    cases = [
        ("arrays, 3 batches", dict(**arrays, batch_size=2), 2, 3),
        ("arrays, 3 batches", dict(**arrays, batch_size=2), 4, 2),
        ("dataset, 3 batches", dict(x=dataset()), 2, 3),
        ("dataset, 3 batches", dict(x=dataset()), 4, 2),
    ]
    for label, data, steps, epochs in cases:
        lm = fresh_for_fit(None)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            history = lm.fit(**data, steps_per_epoch=steps, epochs=epochs, verbose=0)
        found = sorted({str(w.message) for w in caught if "ran out of data" in str(w.message)})
        row = {"data": label, "steps_per_epoch": steps, "epochs": epochs, "warnings": found, "iterations": int(lm.optimizer.iterations)}
        facts["short_data"].append(row | describe_history(history))

    # Early stopping.
    def stop_early(weights):
        lm = fresh_for_fit(LENGTH, 0.1)
        for variable, value in zip(lm.backbone.weights, weights or start_weights(lm)):
            variable.assign(value)
        stopping = keras.callbacks.EarlyStopping(monitor="val_loss", patience=0, restore_best_weights=True)
        history = lm.fit(TEXTS, batch_size=2, epochs=12, validation_data=(VALIDATION_TEXTS,), callbacks=[stopping], verbose=0)
        return lm, stopping, history

    lm, stopping, history = stop_early(None)
    noisy, _, noisy_history = stop_early(perturbed(start_weights(make_model())))
    after = lm.evaluate(VALIDATION_TEXTS, batch_size=2, return_dict=True, verbose=0)
    facts["early_stopping"] = {"learning_rate": 0.1, "batch_size": 2, "epochs": 12, **describe_history(history)}
    facts["early_stopping"] |= {"stopped_epoch": stopping.stopped_epoch, "best_epoch": stopping.best_epoch, "best": float(stopping.best), "evaluate_after": after}
    difference = largest_differences(named(lm, lm.backbone.weights), named(noisy, noisy.backbone.weights))
    difference["val_loss"] = float(np.abs(np.subtract(history.history["val_loss"], noisy_history.history["val_loss"])).max())
    facts["early_stopping"]["largest_difference_with_noise"] = difference
    assert abs(after["loss"] - min(history.history["val_loss"])) < 1e-6
    assert 0 < stopping.stopped_epoch < 11
    keep("early_stopping", lm)

    # ReduceLROnPlateau: no epoch improves by ten.
    lm, rates = fresh_for_fit(LENGTH), Rates()
    plateau = keras.callbacks.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=0, min_delta=10.0)
    history = lm.fit(TEXTS, batch_size=2, epochs=4, callbacks=[rates, plateau], verbose=0)
    facts["reduce_lr_on_plateau"] = {"arguments": dict(monitor="loss", factor=0.5, patience=0, min_delta=10.0), "batch_size": 2, "epochs": 4}
    facts["reduce_lr_on_plateau"] |= {"rates_at_epoch_begin": rates.rates, "rate_at_end": rate_of(lm), **describe_history(history)}
    lm, rates = fresh_for_fit(LENGTH), Rates()
    arguments = dict(monitor="loss", factor=0.1, patience=2, min_delta=10.0, cooldown=1, min_lr=2e-5)
    history = lm.fit(TEXTS, batch_size=2, epochs=9, callbacks=[rates, keras.callbacks.ReduceLROnPlateau(**arguments)], verbose=0)
    facts["reduce_lr_on_plateau_cooldown"] = {"arguments": arguments, "batch_size": 2, "epochs": 9}
    facts["reduce_lr_on_plateau_cooldown"] |= {"rates_at_epoch_begin": rates.rates, "rate_at_end": rate_of(lm), **describe_history(history)}

    # EMA: the weights after `fit` are the averages.
    lm = fresh_for_fit(LENGTH, optimizer=keras.optimizers.Adam(1e-3, use_ema=True, ema_momentum=0.9))
    history = lm.fit(TEXTS, batch_size=2, epochs=2, validation_data=(VALIDATION_TEXTS,), verbose=0)
    after = lm.evaluate(VALIDATION_TEXTS, batch_size=2, return_dict=True, verbose=0)
    facts["ema"] = {"optimizer": {"class": "Adam", "kwargs": {"learning_rate": 1e-3, "use_ema": True, "ema_momentum": 0.9}}, "batch_size": 2, "epochs": 2}
    facts["ema"] |= {**describe_history(history), "evaluate_after": after}
    keep("ema", lm)

    facts["class_weight"] = class_weight(arrays)
    facts["errors"] = errors(arrays, dataset)
    return tensors, facts


# --- Calls that Keras refuses, with their messages. ---


def message_of(call):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = call()
        except Exception as e:
            message = re.sub(r"\x1b\[\d+m", "", str(e))
            # The traceback of an error inside `tf.data` is removed: it names files of this machine.
            message = re.sub(r"(?s)^in user code:.*?\n    (?=\w+Error: )", "", message)
            message = re.sub(r"Dataset:\d+", "Dataset", message)
            return {"error": type(e).__name__, "message": message}
    history = getattr(result, "history", None)
    return {"error": None, "result": {k: [float(x) for x in v] for k, v in history.items()} if isinstance(history, dict) else None}


def class_weight(arrays):
    weights = {3: 2.0, 5: 0.5}
    without = {k: arrays[k] for k in ("x", "y")}
    square = {"x": {k: v[:, :6] for k, v in arrays["x"].items()}, "y": arrays["y"][:, :6]}
    square_result = message_of(lambda: fresh_for_fit(None).fit(**square, class_weight=weights, batch_size=6, verbose=0))
    # Row b gets the weight of the class argmax(y[b]), a position, and with B = T it lands on column b of every row.
    per_row = np.array([weights.get(int(i), 1.0) for i in square["y"].argmax(-1)], "float32")
    same = fresh_for_fit(None).fit(**square, sample_weight=np.tile(per_row[None], (6, 1)), batch_size=6, verbose=0).history
    return {
        "class_weight": [[k, v] for k, v in weights.items()],
        "strings": message_of(lambda: fresh_for_fit(LENGTH).fit(TEXTS, class_weight=weights, batch_size=2, verbose=0)),
        "arrays": message_of(lambda: fresh_for_fit(None).fit(**without, class_weight=weights, batch_size=2, verbose=0)),
        "arrays_with_sample_weight": message_of(lambda: fresh_for_fit(None).fit(**arrays, class_weight=weights, batch_size=2, verbose=0)),
        "square_arrays": square_result,
        "square_arrays_as_weight_of_columns": {k: [float(x) for x in v] for k, v in same.items()},
        "train_on_batch": message_of(lambda: fresh_for_fit(None).train_on_batch(**without, class_weight=weights)),
    }


@contextlib.contextmanager
def in_folder(folder):
    here = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(here)


def errors(arrays, dataset):
    adam = keras.optimizers.Adam
    without = {k: arrays[k] for k in ("x", "y")}

    def with_lora(rank):
        lm = make_model()
        lm.backbone.enable_lora(rank)
        return lm.backbone

    no_target = make_model()
    no_target.backbone.enable_lora(2, target_layer_names=["query_dense"])
    no_target.compile()
    cases = {
        "fit_without_compile": lambda: make_model(compile=False).fit(**arrays, verbose=0),
        "evaluate_without_compile": lambda: make_model(compile=False).evaluate(**arrays, verbose=0),
        "train_on_batch_without_compile": lambda: make_model(compile=False).train_on_batch(**arrays),
        "fit_strings_without_compile": lambda: make_model(LENGTH, compile=False).fit(TEXTS, verbose=0),
        "validation_split_on_strings": lambda: fresh_for_fit(LENGTH).fit(TEXTS, validation_split=0.5, verbose=0),
        "validation_split_too_small": lambda: fresh_for_fit(None).fit(**arrays, validation_split=0.01, verbose=0),
        "validation_split_too_large": lambda: fresh_for_fit(None).fit(**arrays, validation_split=0.99, verbose=0),
        "validation_split_with_dataset": lambda: fresh_for_fit(None).fit(dataset(), validation_split=0.5, verbose=0),
        "validation_data_list_of_one_string": lambda: fresh_for_fit(LENGTH).fit(TEXTS, validation_data=VALIDATION_TEXTS[:1], verbose=0),
        "validation_data_list_of_two_strings": lambda: fresh_for_fit(LENGTH).fit(TEXTS, validation_data=VALIDATION_TEXTS[:2], verbose=0),
        "validation_data_list_of_three_strings": lambda: fresh_for_fit(LENGTH).fit(TEXTS, validation_data=VALIDATION_TEXTS, verbose=0),
        "validation_data_list_of_five_strings": lambda: fresh_for_fit(LENGTH).fit(TEXTS, validation_data=TEXTS, verbose=0),
        "validation_data_array_of_strings": lambda: fresh_for_fit(LENGTH).fit(TEXTS, validation_data=np.array(VALIDATION_TEXTS), verbose=0),
        "empty_list_of_strings": lambda: fresh_for_fit(LENGTH).fit([], verbose=0),
        "empty_arrays": lambda: fresh_for_fit(None).fit(x={k: v[:0] for k, v in arrays["x"].items()}, y=arrays["y"][:0], verbose=0),
        "evaluate_empty_list_of_strings": lambda: fresh_for_fit(LENGTH).evaluate([], verbose=0),
        "one_string": lambda: fresh_for_fit(LENGTH).fit(TEXTS[0], verbose=0),
        "y_with_dataset": lambda: fresh_for_fit(None).fit(dataset(), y=arrays["y"], verbose=0),
        "sample_weight_with_dataset": lambda: fresh_for_fit(None).fit(dataset(), sample_weight=arrays["sample_weight"], verbose=0),
        "batch_size_with_dataset": lambda: fresh_for_fit(None).fit(dataset(), batch_size=2, verbose=0),
        "unequal_lengths": lambda: fresh_for_fit(None).fit(x=arrays["x"], y=arrays["y"][:5], verbose=0),
        "no_y": lambda: fresh_for_fit(None).fit(x=arrays["x"], verbose=0),
        "strings_without_preprocessor": lambda: fresh_for_fit(None).fit(TEXTS, verbose=0),
        "call_on_strings": lambda: fresh_for_fit(LENGTH)(TEXTS),
        "batch_size_zero": lambda: fresh_for_fit(None).fit(**arrays, batch_size=0, verbose=0),
        "epochs_zero": lambda: fresh_for_fit(None).fit(**arrays, epochs=0, verbose=0),
        "initial_epoch_beyond_epochs": lambda: fresh_for_fit(None).fit(**arrays, epochs=2, initial_epoch=5, verbose=0),
        "target_out_of_range": lambda: fresh_for_fit(None).fit(x=arrays["x"], y=arrays["y"] * 0 + 1000, verbose=0),
        "sample_weight_all_zero": lambda: fresh_for_fit(None).fit(**without, sample_weight=arrays["sample_weight"] * 0, verbose=0),
        "sample_weight_of_rows": lambda: fresh_for_fit(None).fit(**without, sample_weight=np.ones(6, "float32"), batch_size=2, verbose=0),
        "two_clips": lambda: adam(1e-3, clipnorm=1.0, global_clipnorm=1.0),
        "accumulation_of_one": lambda: adam(1e-3, gradient_accumulation_steps=1),
        "accumulation_of_zero": lambda: adam(1e-3, gradient_accumulation_steps=0),
        "ema_momentum": lambda: adam(1e-3, use_ema=True, ema_momentum=2.0),
        "ema_overwrite_frequency": lambda: adam(1e-3, use_ema=True, ema_overwrite_frequency=-1),
        "integer_learning_rate": lambda: adam(1),
        "adamw_weight_decay_none": lambda: keras.optimizers.AdamW(1e-3, weight_decay=None),
        "sgd_momentum": lambda: keras.optimizers.SGD(0.1, momentum=2.0),
        "lion_beta": lambda: keras.optimizers.Lion(1e-4, beta_1=0.0),
        "set_rate_of_schedule": lambda: setattr(adam(make_schedule(COSINE)), "learning_rate", 0.1),
        "cosine_decay_steps": lambda: keras.optimizers.schedules.CosineDecay(0.1, decay_steps=0),
        "piecewise_lengths": lambda: keras.optimizers.schedules.PiecewiseConstantDecay([1, 2], [0.1, 0.2]),
        "plateau_factor": lambda: keras.callbacks.ReduceLROnPlateau(factor=1.0),
        "early_stopping_unknown_monitor": lambda: fresh_for_fit(None).fit(**arrays, verbose=0, callbacks=[keras.callbacks.EarlyStopping(monitor="nothing")]),
        "enable_lora_twice": lambda: with_lora(4).enable_lora(4),
        "enable_lora_rank_zero": lambda: make_model().backbone.enable_lora(0),
        "lora_without_a_match": lambda: no_target.fit(**arrays, verbose=0),
        "save_lora_without_enabling": lambda: make_model().backbone.save_lora_weights("a.lora.h5"),
        "save_lora_file_name": lambda: with_lora(4).save_lora_weights("a.h5"),
        "load_lora_other_rank": lambda: (with_lora(4).save_lora_weights("a.lora.h5"), with_lora(2).load_lora_weights("a.lora.h5")),
    }
    with tempfile.TemporaryDirectory() as folder, in_folder(folder):
        return {name: message_of(call) for name, call in cases.items()}


# --- All. ---


def save(tensors, path):
    save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, path)
    path.chmod(0o644)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=pathlib.Path, default=HERE / "training")
    parser.add_argument("--only", choices=["expected", "fit"])
    out = parser.parse_args().out.resolve()
    only = parser.parse_args().only
    out.mkdir(parents=True, exist_ok=True)
    lm = make_model()
    weights = start_weights(lm)
    batch = make_batch(lm)

    if only != "fit":
        tensors = {}
        for suffix, b in (("", batch), ("_2", second_batch(batch))):
            tensors |= {f"{k}{suffix}": v for k, v in zip(("token_ids", "padding_mask", "targets", "sample_weight"), b)}
        facts = {"keras_hub": keras_hub.__version__, "keras": keras.__version__, "jax": jax.__version__, "seed": SEED, "noise": NOISE}
        more, at_start = gradients(lm, batch)
        tensors |= more
        facts["start"] = at_start
        facts["parameters"] = {k: list(v.shape) for k, v in named(lm, lm.backbone.weights).items()}
        names = variable_names(lm.backbone)
        facts["keras_variables"] = {names[id(v)]: {"path": v.path, "shape": list(v.shape)} for v in lm.trainable_variables}
        facts["steps"] = {}
        reference = Reference(lm, batch)
        for name in CONFIGS:
            more, facts["steps"][name] = optimizer_steps(lm, name, weights, batch)
            tensors |= more
            found, averages = reference.steps(name, weights)
            for kind, values in (("weights", found), ("ema", averages if CONFIGS[name][1].get("use_ema") else [])):
                again = named(lm, lm.trainable_variables, values)
                difference = largest_differences(again, {k: tensors[f"{kind}/{name}/{k}"] for k in again})
                assert difference["others"] < 2e-6, f"{name}: the rule as stated by Reference is wrong by {difference}."
            print(name, facts["steps"][name]["losses"][-1], facts["steps"][name]["largest_difference_with_noise"], flush=True)
        # `relative_step` changes nothing.
        for key in [k for k in tensors if k.startswith("weights/adafactor/")]:
            assert np.array_equal(tensors[key], tensors[key.replace("adafactor", "adafactor_plain")])
        more, facts["lora"] = lora("lora", 4, None, "adapter.lora.h5", batch, weights, out)
        tensors |= more
        everything = ["query", "key", "value", "attention_output", "feedforward_intermediate_dense", "feedforward_output_dense"]
        more, facts["lora_all"] = lora("lora_all", 2, everything, "adapter_all.lora.h5", batch, weights, out)
        tensors |= more
        facts["lora_target_names"] = lora_names()
        facts["schedules"] = schedules()
        save(tensors, out / "expected.safetensors")
        write_json(out / "expected.json", facts)

    if only != "expected":
        tensors, facts = fits(batch)
        save(tensors, out / "fit.safetensors")
        write_json(out / "fit.json", facts)


if __name__ == "__main__":
    main()
