"""Optimizers, gradients, updates, states and sweeps."""

from __future__ import annotations

import torch

import graphc
from graphc import nn, optim
from tests.mistakes.mistake import built, raised

points = graphc.placeholder("points", ("batch", 2))
labels = graphc.placeholder("labels", ("batch", 1))
vector = graphc.placeholder("vector", (3,))
matrix = graphc.placeholder("matrix", (2, 3))
scalar = graphc.placeholder("scalar", ())
counts = graphc.placeholder("counts", (3,), torch.int64)
net = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))
loss = nn.MSELoss()(net(points), labels)
sgd = optim.SGD(net.parameters(), lr=0.1)
program = graphc.compile([points, labels], loss, updates=sgd.minimize(loss), backend="reference")
x, y = torch.ones(8, 2), torch.ones(8, 1)


# Making optimizers ----------------------------------------------------------------------------------------------------


@raised("SGD & params", "Sequential", "net.parameters()")
def optimizer_of_a_module() -> object:
    return optim.SGD(net, lr=0.1)  # type: ignore[arg-type]


@raised("Adam & params", "empty", "parameters()")
def optimizer_of_nothing() -> object:
    return optim.Adam([])


@raised("Adam & params", "empty", "exhausted")
def optimizer_of_an_exhausted_generator() -> object:
    parameters = net.parameters()
    list(parameters)
    return optim.Adam(parameters)


@raised("Adam & params", "Parameter", "[ | list")
def optimizer_of_one_parameter() -> object:
    return optim.Adam(net[0].weight)  # type: ignore[arg-type]


@raised("SGD & params", "torch.nn | torch", "graphc | net.parameters()")
def optimizer_of_torchs_parameters() -> object:
    return optim.SGD(torch.nn.Linear(2, 1).parameters(), lr=0.1)  # type: ignore[arg-type]


@raised("SGD & params", "tuple", "net.parameters()")
def optimizer_of_named_parameters() -> object:
    return optim.SGD(net.named_parameters(), lr=0.1)  # type: ignore[arg-type]


@raised("SGD & params", "str | dict", "net.parameters()")
def optimizer_of_a_state_dict() -> object:
    return optim.SGD(net.state_dict(), lr=0.1)  # type: ignore[arg-type]


@raised("SGD & params", "groups", "|")
def optimizer_of_groups() -> object:
    return optim.SGD([{"params": list(net.parameters()), "lr": 0.1}])  # type: ignore[list-item]


@raised("Adam & params", "0.weight & more than once", "once | set | dict.fromkeys")
def optimizer_of_a_parameter_twice() -> object:
    return optim.Adam([*net.parameters(), net[0].weight])


@raised("SGD & params & counts", "i64[3] & floating", "torch.zeros | .float() | torch.float32")
def optimizer_of_integers() -> object:
    return optim.SGD([graphc.Parameter(torch.arange(3), name="counts")], lr=0.1)


@raised("Adam & params", "float | 0.1", "net.parameters()")
def optimizer_of_a_learning_rate() -> object:
    return optim.Adam(0.1)  # type: ignore[arg-type]


@raised("SGD & lr", "-0.1", "0 or more")
def learning_rate_is_negative() -> object:
    return optim.SGD(net.parameters(), lr=-0.1)


@raised("SGD & lr", "nan", "0 or more")
def learning_rate_is_no_number() -> object:
    return optim.SGD(net.parameters(), lr=float("nan"))


@raised("Adam & lr", "inf", "finite | 0 or more")
def learning_rate_is_infinite() -> object:
    return optim.Adam(net.parameters(), lr=float("inf"))


@raised("SGD & lr", "'0.1'", "number")
def learning_rate_is_text() -> object:
    return optim.SGD(net.parameters(), lr="0.1")  # type: ignore[arg-type]


@raised("SGD & lr", "None", "number | 0 or more")
def learning_rate_is_none() -> object:
    return optim.SGD(net.parameters(), lr=None)  # type: ignore[arg-type]


@raised("Adam & lr", "f32[2] | [2] | torch.Tensor", "number | one")
def learning_rate_is_a_tensor_of_two() -> object:
    return optim.Adam(net.parameters(), lr=torch.tensor([0.1, 0.2]))  # type: ignore[arg-type]


@raised("Adam & lr", "f32[] | symbolic | graphc.Tensor", "lambda step | function | number")
def learning_rate_is_a_symbol() -> object:
    return optim.Adam(net.parameters(), lr=scalar)  # type: ignore[arg-type]


@raised("Adam & lr", "list", "number | 0 or more | function")
def learning_rate_is_a_list() -> object:
    return optim.Adam(net.parameters(), lr=[0.1])  # type: ignore[arg-type]


@raised("Adam & lr", "class Cosine | Cosine", "Cosine( | instances")
def learning_rate_is_a_class() -> object:
    return optim.Adam(net.parameters(), lr=optim.Cosine)  # type: ignore[arg-type]


@raised("SGD & lr", "function & 0.1", "step")
def learning_rate_is_a_function_of_numbers() -> object:
    return optim.SGD(net.parameters(), lr=lambda step: 0.1)  # type: ignore[arg-type, return-value]


@built("bool()", "bool[]", "graphc.where")
def learning_rate_is_a_function_that_asks() -> object:
    def rate(step: graphc.Tensor) -> graphc.Tensor:
        return step * 0.1 if step < 10 else step * 0.01  # here

    return optim.SGD(net.parameters(), lr=rate)


@raised("Adam & beta1 | betas", "1.5", "0 & 1")
def beta_is_above_one() -> object:
    return optim.Adam(net.parameters(), betas=(1.5, 0.999))


@raised("Adam & beta2 | betas", "1 | 1.0", "0 & 1")
def beta_is_one() -> object:
    return optim.Adam(net.parameters(), betas=(0.9, 1.0))


@raised("Adam & betas", "0.9", "two | (0.9, 0.999)")
def betas_are_one_number() -> object:
    return optim.Adam(net.parameters(), betas=0.9)  # type: ignore[arg-type]


@raised("Adam & betas", "(0.9,)", "two | (0.9, 0.999)")
def betas_are_too_few() -> object:
    return optim.Adam(net.parameters(), betas=(0.9,))  # type: ignore[arg-type]


@raised("Adam & betas", "(0.9, 0.99, 0.999)", "two")
def betas_are_too_many() -> object:
    return optim.Adam(net.parameters(), betas=(0.9, 0.99, 0.999))  # type: ignore[arg-type]


@raised("Adam & eps", "-1e-08", "0 or more")
def eps_is_negative() -> object:
    return optim.Adam(net.parameters(), eps=-1e-8)


@raised("AdamW & weight_decay", "-0.1", "0 or more")
def weight_decay_is_negative() -> object:
    return optim.AdamW(net.parameters(), weight_decay=-0.1)


@raised("SGD & momentum", "-0.9", "0 or more")
def momentum_is_negative() -> object:
    return optim.SGD(net.parameters(), lr=0.1, momentum=-0.9)


@raised("SGD & momentum", "'0.9'", "number")
def momentum_is_text() -> object:
    return optim.SGD(net.parameters(), lr=0.1, momentum="0.9")  # type: ignore[arg-type]


@raised("SGD & nesterov", "momentum & 0", "momentum=0.9 | momentum above 0")
def nesterov_without_momentum() -> object:
    return optim.SGD(net.parameters(), lr=0.1, nesterov=True)


@raised("SGD & nesterov", "dampening & 0.1 & 0", "dampening=0 | dampening = 0")
def nesterov_with_dampening() -> object:
    return optim.SGD(net.parameters(), lr=0.1, momentum=0.9, dampening=0.1, nesterov=True)


@raised("SGD & betas", "unexpected | no argument", "momentum", TypeError)
def sgd_with_betas() -> object:
    return optim.SGD(net.parameters(), lr=0.1, betas=(0.9, 0.999))  # type: ignore[call-arg]


@raised("Adam & learning_rate", "unexpected | no argument", "lr", TypeError)
def adam_with_keras_learning_rate() -> object:
    return optim.Adam(net.parameters(), learning_rate=0.1)  # type: ignore[call-arg]


@raised("Adam & foreach", "unexpected | no argument", "lr & betas | leave it out", TypeError)
def adam_with_foreach() -> object:
    return optim.Adam(net.parameters(), foreach=True)  # type: ignore[call-arg]


@raised("Adam & params", "missing", "params", TypeError)
def adam_without_parameters() -> object:
    return optim.Adam(lr=0.1)  # type: ignore[call-arg]


@raised("Cosine & steps", "0", "1 or more")
def cosine_of_no_steps() -> object:
    return optim.Cosine(0.1, steps=0)


@raised("Cosine & lr", "-0.1", "0 or more")
def cosine_of_a_negative_rate() -> object:
    return optim.Cosine(-0.1, steps=10)


@raised("StepDecay & every", "0", "1 or more")
def decay_every_zeroth_step() -> object:
    return optim.StepDecay(0.1, every=0)


@raised("Exponential & gamma", "1.5", "0 & 1")
def exponential_that_grows() -> object:
    return optim.Exponential(0.1, gamma=1.5)


@raised("Warmup", "Warmup", "once | then")
def warmup_of_a_warmup() -> object:
    return optim.Warmup(10, optim.Warmup(10, 0.1))


@raised("Cosine & T_max", "unexpected | no argument", "steps", TypeError)
def cosine_with_torchs_argument() -> object:
    return optim.Cosine(0.1, T_max=10)  # type: ignore[call-arg]


# Using optimizers -----------------------------------------------------------------------------------------------------


@raised("step", "SGD", "graphc.compile & minimize", AttributeError)
def optimizer_is_stepped() -> object:
    return sgd.step()


@raised("zero_grad", "SGD & gradients", "leave it out", AttributeError)
def optimizer_is_told_to_forget_gradients() -> object:
    return sgd.zero_grad()


@raised("param_groups", "SGD", "state[ | .lr.value", AttributeError)
def optimizer_is_asked_for_groups() -> object:
    return sgd.param_groups[0]["lr"]


@raised("state_dict", "SGD", "program.state", AttributeError)
def optimizer_is_asked_for_its_state() -> object:
    return sgd.state_dict()


@raised("load_state_dict", "SGD", "program.state", AttributeError)
def optimizer_is_given_a_state() -> object:
    return sgd.load_state_dict({})


@raised("add_param_group", "SGD", "|", AttributeError)
def optimizer_is_given_a_group() -> object:
    return sgd.add_param_group({})


@raised("lr", "float | 0.01", "lr.value = 0.01 | .value =", AttributeError)
def learning_rate_of_an_optimizer_is_assigned() -> object:
    sgd.lr = 0.01  # type: ignore[assignment]


@raised("learning_rate", "SGD", "optimizer.lr.value", AttributeError)
def learning_rate_is_set_by_another_name() -> object:
    sgd.learning_rate = 0.01  # type: ignore[attr-defined]


@raised("betas", "Adam", "optimizer.beta1.value & optimizer.beta2.value", AttributeError)
def betas_are_set_as_one() -> object:
    optim.Adam(net.parameters()).betas = (0.8, 0.9)  # type: ignore[attr-defined]


@raised("momentum & SGD", "was 0", "momentum=0.9", AttributeError)
def option_of_an_optimizer_is_assigned() -> object:
    sgd.momentum = 0.9  # type: ignore[assignment]


@built("minimize & SGD", "f32[batch,1]", ".mean() | .sum()")
def loss_is_no_scalar() -> object:
    return sgd.minimize(net(points))


@built("minimize & SGD", "torch.Tensor", "symbolic")
def loss_has_values() -> object:
    return sgd.minimize(torch.tensor(1.0))  # type: ignore[arg-type]


@built("minimize & SGD", "float | 1.0", "symbolic")
def loss_is_a_number() -> object:
    return sgd.minimize(1.0)  # type: ignore[arg-type]


@built("minimize & SGD", "MSELoss", "symbolic & call | symbolic")
def loss_is_a_module() -> object:
    return sgd.minimize(nn.MSELoss())  # type: ignore[arg-type]


@built("minimize & SGD", "i64[]", "floating | .float()")
def loss_is_an_integer() -> object:
    return sgd.minimize((net(points) > 0.0).to(torch.int64).sum())


@built("minimize & SGD", "0.weight & depends on none", "parameters")
def loss_has_no_parameters_of_the_optimizer() -> object:
    return sgd.minimize(nn.MSELoss()(nn.Linear(2, 1)(points), labels))


@built("minimize & SGD", "0.weight & depends on none", "floating | comparison | integer | parameters")
def loss_is_behind_a_comparison() -> object:
    return sgd.minimize((net(points) > 0.5).float().mean())


@raised("0.weight", "both", "own | sum")
def two_optimizers_over_one_parameter() -> object:
    return sgd.minimize(loss) | optim.Adam(net.parameters()).minimize(loss)


@raised("updates", "list", "minimize | mapping", TypeError)
def updates_and_a_list() -> object:
    return sgd.minimize(loss) | [loss]


@raised("updates", "SGD", "minimize", TypeError)
def updates_and_an_optimizer() -> object:
    return sgd.minimize(loss) | sgd  # type: ignore[operator]


@raised("minimize & loss", "missing", "loss", TypeError)
def minimize_of_nothing() -> object:
    return sgd.minimize()  # type: ignore[call-arg]


# Gradients ------------------------------------------------------------------------------------------------------------


@built("grad", "f32[3]", ".mean() | .sum()")
def gradient_of_a_vector() -> object:
    return graphc.grad(vector, matrix)


@built("grad", "i64[3]", "floating | .float()")
def gradient_to_integers() -> object:
    return graphc.grad(scalar, counts)


@built("grad", "i64[]", "floating | .float()")
def gradient_of_an_integer() -> object:
    return graphc.grad(counts.sum(), vector)


@built("grad", "torch.Tensor", "symbolic | Parameter")
def gradient_to_values() -> object:
    return graphc.grad(scalar, torch.ones(3))  # type: ignore[call-overload]


@built("grad", "float", "symbolic")
def gradient_of_a_number() -> object:
    return graphc.grad(1.0, [scalar])  # type: ignore[call-overload]


@built("grad", "Sequential", "parameters()")
def gradient_to_a_module() -> object:
    return graphc.grad(loss, net)  # type: ignore[call-overload]


@built("grad", "str | '0.weight'", "symbolic | parameters()")
def gradient_to_a_name() -> object:
    return graphc.grad(loss, ["0.weight"])  # type: ignore[list-item]


@built("grad", "tuple | ('0.weight'", "parameters() | symbolic")
def gradient_to_named_parameters() -> object:
    return graphc.grad(loss, list(net.named_parameters()))  # type: ignore[arg-type]


@built("grad", "NoneType", "symbolic | parameters()")
def gradient_to_nothing() -> object:
    return graphc.grad(loss, None)  # type: ignore[call-overload]


@raised("grad & wrt", "missing", "wrt", TypeError)
def gradient_without_a_target() -> object:
    return graphc.grad(loss)  # type: ignore[call-overload]


@raised("grad & create_graph", "unexpected | no argument", "wrt", TypeError)
def gradient_with_torchs_argument() -> object:
    return graphc.grad(loss, [net[0].weight], create_graph=True)  # type: ignore[call-overload]


# State ----------------------------------------------------------------------------------------------------------------


@raised("momentum", "lr & 0.weight", "there are")
def state_has_no_such_cell() -> object:
    return program.state["momentum"]


@raised("learning_rate", "lr", "there are")
def state_is_set_under_a_wrong_name() -> object:
    program.state["learning_rate"] = 0.1


@raised("lr", "[] & [2]", "one | number")
def state_is_set_to_two_rates() -> object:
    program.state["lr"] = [0.1, 0.2]


@raised("lr", "str | 'small'", "number | tensor")
def state_is_set_to_text() -> object:
    program.state["lr"] = "small"


@raised("lr", "None", "number | tensor")
def state_is_set_to_none() -> object:
    program.state["lr"] = None


@raised("0.weight", "[4, 2] | [4,2] & [2, 4] | [2,4]", ".T | transpose | shape")
def state_is_set_to_another_shape() -> object:
    program.state["0.weight"] = torch.ones(2, 4)


@raised("0.weight", "f32 & f64", ".to(")
def state_is_set_to_double() -> object:
    program.state["0.weight"] = torch.ones(4, 2, dtype=torch.float64)


@raised("weight & State", "another program | made for", "new_state()")
def state_is_asked_for_a_parameter_of_another_program() -> object:
    return program.new_state()[nn.Linear(2, 1).weight]


@raised("weight & State", "another program | made for | no", "program")
def default_state_is_asked_for_a_parameter_of_another_program() -> object:
    return program.state[nn.Linear(2, 1).weight]


@raised("0 & State", "int | 0", "name | handle")
def state_is_asked_by_number() -> object:
    return program.state[0]  # type: ignore[index]


@raised("lr & State", "item deletion | delete | del", "cell | new_state | constant", TypeError)
def cell_of_a_state_is_deleted() -> object:
    del program.state["lr"]  # type: ignore[attr-defined]


@raised("State", "'gpu'", "cpu & cuda")
def state_is_moved_to_nowhere() -> object:
    return program.new_state().to("gpu")


@raised("2 cells | weight", "weight & 2", "handle")
def name_stands_for_two_cells() -> object:
    a, b = nn.Linear(2, 1), nn.Linear(2, 1)
    both = graphc.compile([points], a(points) + b(points), backend="reference")
    return both.state["weight"]


# Sweeps ---------------------------------------------------------------------------------------------------------------


@raised("Sweep & run 0", "Program", "graphc.Run")
def sweep_over_programs() -> object:
    return graphc.Sweep([program])  # type: ignore[list-item]


@raised("Sweep & runs", "Run", "list")
def sweep_over_one_run() -> object:
    return graphc.Sweep(graphc.Run(program, x, y, batch_size=2, epochs=1))  # type: ignore[arg-type]


@raised("Sweep & keep", "str | 'loss'", "function | called")
def sweep_keeps_a_word() -> object:
    return graphc.Sweep([], keep="loss")  # type: ignore[arg-type]


@raised("Sweep.fit & workers", "0", "1 or more")
def sweep_without_workers() -> object:
    return graphc.Sweep([graphc.Run(program, x, y, batch_size=2, epochs=1)]).fit(workers=0)


@raised("Run & program", "Sequential", "graphc.compile")
def run_of_a_module() -> object:
    return graphc.Run(net, x, y, batch_size=2, epochs=1)  # type: ignore[arg-type]


@raised("points & labels", "1 & 2", "give | in order")
def run_without_labels() -> object:
    return graphc.Run(program, x, batch_size=2, epochs=1)


@raised("batch_size", "0", "1 or more")
def run_in_empty_batches() -> object:
    return graphc.Run(program, x, y, batch_size=0, epochs=1)


@raised("momentum", "lr", "left out | 0 when")
def run_with_a_hyper_parameter_that_is_not_there() -> object:
    return graphc.Run(program, x, y, batch_size=2, epochs=1, hyper={"momentum": 0.9})


@raised("lr", "'0.1'", "finite number | number")
def run_with_a_hyper_parameter_of_text() -> object:
    return graphc.Run(program, x, y, batch_size=2, epochs=1, hyper={"lr": "0.1"})  # type: ignore[dict-item]


@raised("hyper", "list", "{'lr': 0.1} | mapping")
def run_with_a_list_of_hyper_parameters() -> object:
    return graphc.Run(program, x, y, batch_size=2, epochs=1, hyper=[("lr", 0.1)])  # type: ignore[arg-type]


@raised("seed", "18446744073709551616 | 2**64", "2⁶⁴")
def run_with_a_seed_that_is_too_large() -> object:
    return graphc.Run(program, x, y, batch_size=2, epochs=1, seed=2**64)


@raised("run 1 & SweepError | runs", "1 of 2 & KeyError | loss2", "errors | kept in")
def run_of_a_sweep_fails() -> object:
    def keep(outcome: graphc.Outcome) -> float:
        return outcome.history["loss" if outcome.run.seed == 0 else "loss2"][-1]

    runs = [graphc.Run(program, x, y, batch_size=8, epochs=1, seed=seed) for seed in (0, 1)]
    return graphc.Sweep(runs, keep=keep).fit(workers=1, progress=False)


@raised("fit & progress", "'no'", "True & False & None")
def progress_is_a_word() -> object:
    return program.fit(x, y, batch_size=8, epochs=1, progress="no")  # type: ignore[arg-type]


@raised("History | history & accuracy", "accuracy & loss", "there are | has", KeyError)
def history_of_what_was_not_recorded() -> object:
    history = program.fit(x, y, batch_size=8, epochs=1)
    return history["accuracy"]
