"""What programs are given: inputs of calls, data of `fit` and `evaluate`, and what `compile` is asked for."""

from __future__ import annotations

import numpy
import torch
from torch.utils.data import DataLoader, TensorDataset

import graphc
from graphc import nn, optim
from tests.mistakes.mistake import called, raised

points = graphc.placeholder("points", ("batch", 2))
labels = graphc.placeholder("labels", ("batch", 1))
fixed = graphc.placeholder("fixed", (3,))
net = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))
loss = nn.MSELoss()(net(points), labels)
sgd = optim.SGD(net.parameters(), lr=0.1)
train = graphc.compile([points, labels], loss, updates=sgd.minimize(loss), backend="reference")
predict = graphc.compile([points], net(points), backend="reference")
x, y = torch.ones(8, 2), torch.ones(8, 1)


# Calls ----------------------------------------------------------------------------------------------------------------


@raised("points & labels", "1 & 2", "in order & program(")
def call_without_labels() -> object:
    return train(x)


@raised("points", "2 & 1", "in order & program(")
def call_with_labels_that_nobody_wants() -> object:
    return predict(x, y)


@raised("points & labels", "0 & 2", "in order & program(")
def call_without_anything() -> object:
    return train()


@raised("points & labels", "1 & 2", "one by one | *inputs | program(a, b) | program(")
def call_with_a_list_of_inputs() -> object:
    return train([x, y])


@called("points | labels", "1 & 2", "order")
def call_with_inputs_in_the_wrong_order() -> object:
    a = graphc.placeholder("points", ("batch", 2))  # declared
    b = graphc.placeholder("labels", ("batch", 1))
    return graphc.compile([a, b], a.sum() + b.sum(), backend="reference")(y, x)


@raised("points & labels", "keyword", "in order | position", TypeError)
def call_with_inputs_by_keyword() -> object:
    return train(points=x, labels=y)


@raised("epochs | keyword & points", "epochs", "fit | in order", TypeError)
def call_with_an_option_of_fit() -> object:
    return predict(x, epochs=3)


@raised("state", "dict", "new_state()")
def call_with_a_state_dict_as_state() -> object:
    return predict(x, state=net.state_dict())  # type: ignore[arg-type]


@raised("state", "int | 1", "new_state()")
def call_with_a_number_as_state() -> object:
    return train(x, y, state=1)  # type: ignore[arg-type]


@raised("1.weight | weight & State", "another program | made for", "new_state()")
def call_with_the_state_of_another_program() -> object:
    other = nn.Linear(2, 1)
    state = graphc.compile([points], other(points), backend="reference").new_state()
    return predict(x, state=state)


@raised("exp_avg | step | State", "another program | made for", "new_state() of the program that updates")
def call_with_the_state_of_a_program_without_updates() -> object:
    inner = nn.Linear(2, 1)
    error = nn.MSELoss()(inner(points), labels)
    adam = optim.Adam(inner.parameters())
    program = graphc.compile([points, labels], error, updates=adam.minimize(error), backend="reference")
    state = graphc.compile([points], inner(points), backend="reference").new_state()
    return program(x, y, state=state)


# compile --------------------------------------------------------------------------------------------------------------


@raised("compile & inputs", "Tensor | placeholder", "[points, labels] | list")
def compile_with_one_input_without_a_list() -> object:
    return graphc.compile(points, net(points))  # type: ignore[arg-type]


@raised("compile & inputs", "dict", "list | [points, labels]")
def compile_with_a_dict_of_inputs() -> object:
    return graphc.compile({"points": points}, net(points))  # type: ignore[arg-type]


@raised("compile & inputs", "matmul | add | not a placeholder", "graphc.placeholder")
def compile_with_a_result_as_input() -> object:
    return graphc.compile([net(points)], net(points).sum())


@raised("compile & placeholder", "torch.Tensor", "graphc.placeholder")
def compile_with_values_as_input() -> object:
    return graphc.compile([x], net(points))  # type: ignore[list-item]


@raised("compile & inputs", "'points'", "graphc.placeholder")
def compile_with_the_name_of_an_input() -> object:
    return graphc.compile(["points"], net(points))  # type: ignore[list-item]


@raised("compile & inputs", "parameter & weight", "graphc.placeholder | leave it out")
def compile_with_a_parameter_as_input() -> object:
    layer = nn.Linear(2, 1)
    return graphc.compile([points, layer.weight], layer(points))


@raised("compile & points", "twice", "once")
def compile_with_an_input_twice() -> object:
    return graphc.compile([points, points], net(points))


@called("compile & labels", "not among the inputs", "add it | inputs=[points, labels]")
def compile_without_an_input() -> object:
    a = graphc.placeholder("points", ("batch", 2))
    b = graphc.placeholder("labels", ("batch", 2))  # declared
    return graphc.compile([a], (a - b).sum())


@called("compile & points", "Another & same name", "same | one of them | rename")
def compile_with_another_placeholder_of_the_same_name() -> object:
    hidden = nn.Linear(2, 1)(graphc.placeholder("points", ("batch", 2)))  # declared
    return graphc.compile([graphc.placeholder("points", ("batch", 2))], hidden)


@raised("compile & outputs", "empty | nothing", "outputs | tensor")
def compile_of_nothing() -> object:
    return graphc.compile([points], [])


@raised("compile & outputs | output", "None | NoneType", "tensor")
def compile_of_none() -> object:
    return graphc.compile([points], None)  # type: ignore[arg-type]


@raised("compile & outputs | output", "float", "symbolic tensor | tensor")
def compile_of_a_number() -> object:
    return graphc.compile([points], 2.0)  # type: ignore[arg-type]


@raised("compile & outputs | output", "Sequential", "net(x) | call")
def compile_of_a_module() -> object:
    return graphc.compile([points], net)  # type: ignore[arg-type]


@raised("compile & outputs | output", "function", "tensor & call")
def compile_of_a_function() -> object:
    return graphc.compile([points], lambda p: p.sum())  # type: ignore[arg-type]


@raised("compile | output & 'loss'", "float", "symbolic tensor | graphc.constant")
def compile_of_a_dict_with_a_number() -> object:
    return graphc.compile([points], {"loss": 2.0})  # type: ignore[dict-item]


@raised("compile & outputs", "0 | int", "string")
def compile_of_a_dict_with_numbers_as_names() -> object:
    return graphc.compile([points], {0: net(points)})  # type: ignore[dict-item]


@raised("compile & output | outputs", "torch.Tensor", "symbolic tensor | graphc.constant")
def compile_of_values() -> object:
    return graphc.compile([points], [x])  # type: ignore[list-item]


@raised("compile & updates", "optimizer | SGD", "optimizer.minimize(loss) | minimize(loss)")
def compile_with_an_optimizer_as_updates() -> object:
    return graphc.compile([points, labels], loss, updates=sgd)  # type: ignore[arg-type]


@raised("compile & updates", "list", "minimize(loss)")
def compile_with_a_list_of_updates() -> object:
    return graphc.compile([points, labels], loss, updates=[sgd.minimize(loss)])  # type: ignore[arg-type]


@raised("compile & updates", "list", "minimize(loss) & updates=None")
def compile_with_no_updates_in_a_list() -> object:
    return graphc.compile([points, labels], loss, updates=[])  # type: ignore[arg-type]


@raised("compile & updates", "bool | False", "minimize(loss) & updates=None")
def compile_with_updates_switched_off() -> object:
    return graphc.compile([points, labels], loss, updates=False)  # type: ignore[arg-type]


@raised("compile & updates", "'weight' | str", "optimizer.minimize | variable")
def compile_with_names_in_updates() -> object:
    return graphc.compile([points], net(points), updates={"weight": net(points)})  # type: ignore[dict-item]


@raised("compile & weight", "f32[4,2] & f32[]", "same type | shape | type")
def compile_with_an_update_of_another_shape() -> object:
    weight = net[0].weight
    return graphc.compile([points], net(points), updates={weight: weight.sum()})


@raised("compile & weight", "f32[4,2] & f64[4,2]", "dtype | .to(torch.float32)")
def compile_with_an_update_of_another_dtype() -> object:
    weight = net[0].weight
    return graphc.compile([points], net(points), updates={weight: weight.double()})


@raised("compile & backend", "'cuda'", "'torch' & 'c'")
def compile_for_a_backend_that_is_not_there() -> object:
    return graphc.compile([points], net(points), backend="cuda")


@raised("compile & backend", "None", "'auto'")
def compile_for_no_backend() -> object:
    return graphc.compile([points], net(points), backend=None)  # type: ignore[arg-type]


@raised("compile & threads", "0", "positive | 1 or more")
def compile_for_no_threads() -> object:
    return graphc.compile([points], net(points), threads=0)


@raised("compile & threads", "True", "positive | 1 or more")
def compile_for_true_threads() -> object:
    return graphc.compile([points], net(points), threads=True, backend="reference")


@raised("compile & threads", "'all'", "None | positive")
def compile_for_all_threads() -> object:
    return graphc.compile([points], net(points), threads="all")  # type: ignore[arg-type]


@raised("compile & training", "'yes'", "True & False")
def compile_for_yes_training() -> object:
    return graphc.compile([points], net(points), training="yes")  # type: ignore[arg-type]


@raised("compile & size & m", "m & points", "inputs=[ | placeholder")
def compile_with_a_size_that_no_input_has() -> object:
    m = graphc.placeholder("other", ("m",)).shape[0]
    return graphc.compile([points], net(points).sum() * m, backend="reference")


@raised("compile & update", "update", "updates", TypeError)
def compile_with_an_argument_misspelt() -> object:
    return graphc.compile([points, labels], loss, update=sgd.minimize(loss))  # type: ignore[call-arg]


@raised("compile & outputs", "missing", "outputs", TypeError)
def compile_without_outputs() -> object:
    return graphc.compile([points])  # type: ignore[call-arg]


# fit and evaluate -----------------------------------------------------------------------------------------------------


@raised("fit & points & labels", "1 & 2", "in order")
def fit_without_labels() -> object:
    return train.fit(x, batch_size=2, epochs=1)


@raised("fit & points & labels", "DataLoader", "tensors")
def fit_on_a_loader() -> object:
    return train.fit(DataLoader(TensorDataset(x, y), batch_size=2), batch_size=2, epochs=1)


@raised("fit & points & labels", "TensorDataset", "tensors | .tensors")
def fit_on_a_dataset() -> object:
    return train.fit(TensorDataset(x, y), batch_size=2, epochs=1)


@raised("fit & points & labels", "tuple", "one by one | fit(x, y | *")
def fit_on_a_tuple() -> object:
    return train.fit((x, y), batch_size=2, epochs=1)


@raised("fit & batch_size & epochs", "missing", "batch_size", TypeError)
def fit_without_a_batch_size() -> object:
    return train.fit(x, y)  # type: ignore[call-arg]


@raised("fit & n_epochs", "n_epochs", "epochs", TypeError)
def fit_with_an_argument_misspelt() -> object:
    return train.fit(x, y, batch_size=2, n_epochs=3)  # type: ignore[call-arg]


@raised("fit & lr", "lr", "on_epoch | optim | optimizer", TypeError)
def fit_with_a_learning_rate() -> object:
    return train.fit(x, y, batch_size=2, epochs=3, lr=0.1)  # type: ignore[call-arg]


@called("labels", "7 & 8 & points", "same number | length | samples | the same in every input")
def fit_on_data_of_two_lengths() -> object:
    a = graphc.placeholder("points", ("batch", 2))
    b = graphc.placeholder("labels", ("batch", 1))  # declared
    return graphc.compile([a, b], (a * b).sum(), backend="reference").fit(x, y[:7], batch_size=2, epochs=1)


@called("labels", "f64[8,1] & f32[batch,1]", ".to(torch.float32) | .astype")
def fit_on_double_labels() -> object:
    a = graphc.placeholder("points", ("batch", 2))
    b = graphc.placeholder("labels", ("batch", 1))  # declared
    return graphc.compile([a, b], (a * b).sum(), backend="reference").fit(x, y.double(), batch_size=2, epochs=1)


@called("points", "f64[8,2] & f32[batch,2]", ".astype")
def fit_on_double_arrays() -> object:
    a = graphc.placeholder("points", ("batch", 2))  # declared
    return graphc.compile([a], a.sum(), backend="reference").fit(numpy.ones((8, 2)), batch_size=2, epochs=1)


@called("labels", "f32[8] & f32[batch,1]", "unsqueeze | reshape")
def fit_on_labels_in_one_dimension() -> object:
    a = graphc.placeholder("points", ("batch", 2))
    b = graphc.placeholder("labels", ("batch", 1))  # declared
    return graphc.compile([a, b], (a * b).sum(), backend="reference").fit(x, y[:, 0], batch_size=2, epochs=1)


@called("points", "list & f32[batch,2]", "torch.tensor | torch tensor")
def fit_on_lists() -> object:
    a = graphc.placeholder("points", ("batch", 2))  # declared
    return graphc.compile([a], a.sum(), backend="reference").fit([[1.0, 2.0]], batch_size=2, epochs=1)


@raised("fit & data", "no samples | 0", "at least one | empty")
def fit_on_nothing() -> object:
    return train.fit(x[:0], y[:0], batch_size=2, epochs=1)


@raised("fit & batch_size", "0", "1 or more")
def fit_in_empty_batches() -> object:
    return train.fit(x, y, batch_size=0, epochs=1)


@raised("fit & batch_size", "-5", "1 or more")
def fit_in_negative_batches() -> object:
    return train.fit(x, y, batch_size=-5, epochs=1)


@raised("fit & batch_size", "2.5", "integer")
def fit_in_broken_batches() -> object:
    return train.fit(x, y, batch_size=2.5, epochs=1)  # type: ignore[arg-type]


@raised("fit & batch_size", "None", "integer | 1 or more")
def fit_in_no_batches() -> object:
    return train.fit(x, y, batch_size=None, epochs=1)  # type: ignore[arg-type]


@raised("fit & batch_size", "'32'", "integer")
def fit_in_batches_of_text() -> object:
    return train.fit(x, y, batch_size="32", epochs=1)  # type: ignore[arg-type]


@raised("fit & epochs", "-1", "0 or more")
def fit_for_negative_epochs() -> object:
    return train.fit(x, y, batch_size=2, epochs=-1)


@raised("fit & epochs", "1.5", "integer")
def fit_for_half_an_epoch() -> object:
    return train.fit(x, y, batch_size=2, epochs=1.5)  # type: ignore[arg-type]


@raised("fit & seed", "-1", "0 or more")
def fit_with_a_negative_seed() -> object:
    return train.fit(x, y, batch_size=2, epochs=1, seed=-1)


@raised("fit & seed", "None", "integer")
def fit_with_no_seed() -> object:
    return train.fit(x, y, batch_size=2, epochs=1, seed=None)  # type: ignore[arg-type]


@raised("fit & shuffle", "'yes'", "True & False")
def fit_with_a_word_for_shuffle() -> object:
    return train.fit(x, y, batch_size=2, epochs=1, shuffle="yes")  # type: ignore[arg-type]


@raised("fit & validation", "1 & 2 & points & labels", "in order")
def fit_with_validation_points_only() -> object:
    return train.fit(x, y, batch_size=2, epochs=1, validation=(x,))


@raised("fit & validation", "torch.Tensor | 1 & 2 & points & labels", "in order")
def fit_with_a_tensor_for_validation() -> object:
    return train.fit(x, y, batch_size=2, epochs=1, validation=x)  # type: ignore[arg-type]


@raised("fit & validation", "0.2 | float", "(x, y) | (points, labels)")
def fit_with_a_share_for_validation() -> object:
    return train.fit(x, y, batch_size=2, epochs=1, validation=0.2)  # type: ignore[arg-type]


@called("validation & points", "f64[8,2] & f32[batch,2]", ".to(torch.float32) | .astype")
def fit_with_double_validation_points() -> object:
    a = graphc.placeholder("points", ("batch", 2))  # declared
    program = graphc.compile([a], a.sum(), backend="reference")
    return program.fit(x, batch_size=2, epochs=1, validation=(x.double(),))


@raised("fit & validation", "no samples | 0", "at least one | empty")
def fit_with_no_validation_points() -> object:
    return train.fit(x, y, batch_size=2, epochs=1, validation=(x[:0], y[:0]))


@raised("fit & on_epoch", "list", "function | called")
def fit_with_a_list_of_callbacks() -> object:
    return train.fit(x, y, batch_size=2, epochs=1, on_epoch=[print])  # type: ignore[arg-type]


@raised("fit & on_epoch", "NoneType | None | int | 3", "function | called")
def fit_with_the_result_of_a_callback() -> object:
    return train.fit(x, y, batch_size=2, epochs=1, on_epoch=3)  # type: ignore[arg-type]


@raised("state", "dict", "new_state()")
def fit_with_a_dict_as_state() -> object:
    return train.fit(x, y, batch_size=2, epochs=1, state={})  # type: ignore[arg-type]


@raised("momentum", "lr", "0 when the optimizer was made")
def epoch_sets_what_is_not_there() -> object:
    def on_epoch(epoch: graphc.Epoch) -> None:
        epoch.set(momentum=0.9)  # here

    return train.fit(x, y, batch_size=8, epochs=1, on_epoch=on_epoch)


@raised("lr", "nan | NaN", "finite")
def epoch_sets_a_rate_that_is_no_number() -> object:
    def on_epoch(epoch: graphc.Epoch) -> None:
        epoch.set(lr=float("nan"))  # here

    return train.fit(x, y, batch_size=8, epochs=1, on_epoch=on_epoch)


@raised("loss & Epoch", "loss", "epoch.metrics", AttributeError)
def epoch_is_asked_for_its_loss() -> object:
    def on_epoch(epoch: graphc.Epoch) -> None:
        epoch.loss  # type: ignore[attr-defined] # noqa: B018 # here

    return train.fit(x, y, batch_size=8, epochs=1, on_epoch=on_epoch)


@raised("epoch.metrics", "'val_loss'", "'loss' & 'validation_loss'", KeyError)
def epoch_is_asked_for_a_name_of_keras() -> object:
    def on_epoch(epoch: graphc.Epoch) -> None:
        epoch.metrics["val_loss"]  # here

    return train.fit(x, y, batch_size=8, epochs=1, on_epoch=on_epoch, validation=(x, y))


@called("fit & fixed", "f32[3] & batch | symbolic", '"batch"')
def fit_of_a_program_without_a_batch() -> object:
    z = graphc.placeholder("fixed", (3,))  # declared
    return graphc.compile([z], z.sum(), backend="reference").fit(torch.ones(3), batch_size=2, epochs=1)


@called("fit & labels", "f32[m,1] & batch", "same")
def fit_of_a_program_with_two_batches() -> object:
    a = graphc.placeholder("points", ("batch", 2))
    b = graphc.placeholder("labels", ("m", 1))  # declared
    return graphc.compile([a, b], a.sum() + b.sum(), backend="reference").fit(x, y, batch_size=2, epochs=1)


@raised("fit & inputs", "0 | no inputs | none", "placeholder | call")
def fit_of_a_program_without_inputs() -> object:
    weight = graphc.Parameter(torch.ones(3), name="weight")
    program = graphc.compile([], weight.sum(), backend="reference")
    return program.fit(batch_size=2, epochs=1)


@raised("evaluate & points & labels", "1 & 2", "in order")
def evaluate_without_labels() -> object:
    return train.evaluate(x)


@raised("evaluate & batch_size", "0", "1 or more")
def evaluate_in_empty_batches() -> object:
    return train.evaluate(x, y, batch_size=0)


@raised("evaluate & data", "no samples | 0", "at least one | empty")
def evaluate_on_nothing() -> object:
    return train.evaluate(x[:0], y[:0])


@raised("evaluate & outputs | output", "f32[batch,1] | scalar", ".mean() | call")
def evaluate_of_what_is_no_scalar() -> object:
    return predict.evaluate(x)


@raised("profile", "reference", 'backend="c"')
def profile_of_the_reference() -> object:
    return predict.profile(x)


# A program is what it is ----------------------------------------------------------------------------------------------


@raised("backend", "'reference' | reference", "graphc.compile", AttributeError)
def program_is_told_another_backend() -> object:
    predict.backend = "torch"


@raised("training", "False", "graphc.compile", AttributeError)
def program_is_told_to_train() -> object:
    predict.training = True


@raised("state", "program", "state=", AttributeError)
def program_is_given_a_state() -> object:
    predict.state = predict.new_state()  # type: ignore[misc]


@raised("threads", "program", "graphc.compile", AttributeError)
def program_is_given_threads() -> object:
    predict.threads = 2  # type: ignore[misc]


@raised("lr", "program", "state['lr'] | state[\"lr\"] | epoch.set", AttributeError)
def program_is_given_a_learning_rate() -> object:
    train.lr = 0.1  # type: ignore[attr-defined]


@raised("eval", "Program | program", "graphc.compile | without updates", AttributeError)
def program_is_told_to_evaluate() -> object:
    return train.eval()  # type: ignore[attr-defined]


@raised("parameters", "Program | program", "module | net.parameters() | state", AttributeError)
def program_is_asked_for_parameters() -> object:
    return train.parameters()  # type: ignore[attr-defined]


@raised("state_dict", "Program | program", "program.state | module", AttributeError)
def program_is_asked_for_a_state_dict() -> object:
    return train.state_dict()  # type: ignore[attr-defined]


@raised("predict", "Program | program", "program(", AttributeError)
def program_is_asked_to_predict() -> object:
    return predict.predict(x)  # type: ignore[attr-defined]


@raised("loss", "Program | program", "program( | output_names", AttributeError)
def program_is_asked_for_its_loss() -> object:
    return train.loss  # type: ignore[attr-defined]


@raised("outputs | nodes", "Graph | graph", "rewrite | immutable | frozen | build", AttributeError)
def graph_is_changed() -> object:
    predict.graph.outputs = ()  # type: ignore[misc]


@raised("seed", "-1", "0")
def state_is_drawn_from_a_negative_seed() -> object:
    return predict.new_state(seed=-1)


@raised("seed", "'one'", "integer")
def state_is_drawn_from_a_word() -> object:
    return predict.new_state(seed="one")  # type: ignore[arg-type]


@raised("new_state", "device", "seed", TypeError)
def state_is_made_on_a_device() -> object:
    return predict.new_state(device="cpu")  # type: ignore[call-arg]


@raised("save", "2 & 1", "path & state", TypeError)
def program_is_saved_with_a_state() -> object:
    return predict.save("net.safetensors", predict.state)  # type: ignore[misc]
