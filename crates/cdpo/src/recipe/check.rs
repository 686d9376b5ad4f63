//! Ranges and combinations that no single section can see.

use cdpo_model::Products;
use cdpo_sample::{SampleParams, ServerSettings};
use cdpo_train::{Examples, Method, Parameters, TrainSettings};

use super::{FramingName, Recipe, Template};
use crate::builtin;

/// Adds every fault of a recipe whose sections could be read.
pub(super) fn check(recipe: &Recipe, faults: &mut Vec<String>) {
    recipe.rollout.check(faults);
    let mut fault = |text: String| faults.push(text);
    sources(recipe, &mut fault);
    methods(recipe, &mut fault);
    counts(recipe, &mut fault);
    framing(recipe, &mut fault);
    servers(recipe, &mut fault);
    let params = SampleParams {
        temperature: recipe.sample.temperature,
        top_p: recipe.sample.top_p,
        top_k: recipe.sample.top_k,
        max_new_tokens: recipe.sample.max_new_tokens,
        ..SampleParams::default()
    };
    if let Err(cdpo_sample::Error::Params(found)) = params.validate() {
        for found in found {
            fault(format!("sample.{found}"));
        }
    }
    let loras = [
        ("ce.lora", &recipe.ce.lora),
        ("train.lora", &recipe.train.lora),
    ];
    for (name, lora) in loras {
        if let Err(e) = lora.validate() {
            fault(format!("{name}: {e}"));
        }
    }
    if recipe.ce.train.parameters == Some(Parameters::All) {
        fault(
            "ce.train.parameters: the contrastive models are adapters on one base, so that one pass scores with both; \"lora\" is expected"
                .into(),
        );
    }
    let of_all =
        |(_, settings): &(&String, &TrainSettings)| settings.parameters == Some(Parameters::All);
    let all: Vec<&str> = recipe
        .train
        .methods
        .iter()
        .filter(of_all)
        .map(|(name, _)| name.as_str())
        .collect();
    if recipe.run.products == Products::Fast && !all.is_empty() {
        fault(format!(
            "run.products: \"exact\" is expected, since train.parameters is \"all\" for {}: all parameters are trained in f32",
            all.join(", ")
        ));
    }
    if let Err(e) = recipe.select.validate() {
        fault(e.to_string());
    }
}

/// Where the model and the questions come from.
fn sources(recipe: &Recipe, fault: &mut impl FnMut(String)) {
    match (&recipe.model.path, &recipe.model.hub) {
        (None, None) => fault(
            "model: path (a folder or a GGUF file) or hub (owner/name) is needed, e.g. --set model.path=..."
                .into(),
        ),
        (Some(_), Some(_)) => fault("model: path and hub are both given; one is expected".into()),
        _ => {}
    }
    for (name, path) in [("train", &recipe.data.train), ("test", &recipe.data.test)] {
        let needed = name == "test" || recipe.data.pairs.is_none();
        if needed && path.as_os_str().is_empty() {
            fault(format!(
                "data.{name}: a file of questions is needed, e.g. --set data.{name}=gsm8k_{name}.jsonl"
            ));
        }
    }
    for (key, path) in [
        ("data.train", &recipe.data.train),
        ("data.test", &recipe.data.test),
    ] {
        if let Some(Err(e)) = builtin::name(path).map(builtin::questions) {
            fault(format!("{key}: {e}"));
        }
    }
    let model = recipe.model.path.as_deref();
    if let Some(Err(e)) = model.and_then(builtin::name).map(builtin::model) {
        fault(format!("model.path: {e}"));
    }
    let name = &recipe.run.name;
    if name.contains(['/', '\\']) || name.starts_with('.') {
        fault(format!(
            "run.name: {name:?} is not a plain folder name; put the folder above it into run.dir"
        ));
    }
}

/// Which methods go together, and with which data.
fn methods(recipe: &Recipe, fault: &mut impl FnMut(String)) {
    for (i, method) in recipe.methods.iter().enumerate() {
        if recipe.methods[..i].contains(method) {
            fault(format!("methods: {} is named twice", method.name()));
        }
        if method.examples() == Examples::RolloutPairs && recipe.data.pairs.is_some() {
            fault(format!(
                "methods: {method} rolls out the run's own samples, but data.pairs gives pairs without gold answers; use weighted-dpo \
                 with weights of your own"
            ));
        }
    }
    let parameters = |method: Method| recipe.train.methods.get(method.name())?.parameters;
    for &method in recipe.methods.iter().filter(|m| m.starts_from_sft()) {
        if parameters(method) != parameters(Method::SFT) {
            fault(format!(
                "train.{method}.parameters: it starts from sft, which trains other parameters; give both the same"
            ));
        }
    }
}

/// Servers that draw samples or answer questions.
fn servers(recipe: &Recipe, fault: &mut impl FnMut(String)) {
    let sections = [
        ("sample.server", &recipe.sample.server),
        ("eval.server", &recipe.eval.server),
    ];
    for (name, server) in sections {
        let checked = server.as_ref().map(ServerSettings::validate);
        if let Some(Err(cdpo_sample::Error::ServerSettings(found))) = checked {
            for found in found {
                fault(format!("{name}.{found}"));
            }
        }
    }
    if let Some(server) = &recipe.sample.server {
        if !server.kind.gives_ids() && !server.allow_text {
            fault(format!(
                "sample.server.kind = \"{}\": such a server gives text without the ids that were drawn, and what is trained are those ids; use \
                 vllm, sglang or llama_cpp, or allow_text = true, which encodes the text anew and marks every record so",
                server.kind.name()
            ));
        }
        for method in &recipe.methods {
            if method.examples() == Examples::RolloutPairs {
                fault(format!(
                    "sample.server: {method} needs rollouts, which branch off the very samples at single tokens: the local engine alone draws \
                     both; leave sample.server out, or the method"
                ));
            }
        }
    }
    if let Some(server) = &recipe.eval.server {
        let trained: Vec<&str> = recipe.trainings().iter().map(|m| m.name()).collect();
        if !server.kind.takes_adapters() && !trained.is_empty() {
            fault(format!(
                "eval.server.kind = \"{}\": such a server takes no adapter while it runs, and {} would be evaluated; use vllm or sglang, or the \
                 local engine; or set methods = [] and serve the folder that cdpo merge writes as a model of its own",
                server.kind.name(),
                trained.join(", ")
            ));
        }
        for method in recipe.trainings() {
            let settings = recipe.train.methods.get(method.name());
            if settings.and_then(|s| s.parameters) == Some(Parameters::All) {
                fault(format!(
                    "eval.server: train.{method}.parameters = \"all\" makes a whole model, which no running server takes; evaluate with the \
                     local engine, or serve the folder that it leaves and evaluate that as a base"
                ));
            }
        }
    }
}

/// What must not be zero.
fn counts(recipe: &Recipe, fault: &mut impl FnMut(String)) {
    let least_one = [
        ("run.seeds", Some(recipe.run.seeds as usize)),
        ("sample.n", Some(recipe.sample.n as usize)),
        ("sample.cache_mib", Some(recipe.sample.cache_mib)),
        ("sample.max_batch", Some(recipe.sample.max_batch)),
        ("eval.max_batch", Some(recipe.eval.max_batch)),
        ("eval.max_new_tokens", recipe.eval.max_new_tokens),
        ("data.train_limit", recipe.data.train_limit),
        ("eval.limit", recipe.eval.limit),
    ];
    for (name, value) in least_one {
        if value == Some(0) {
            fault(format!("{name}: at least 1 is expected"));
        }
    }
}

/// The parts of a framing of the user's own, and those of a chat.
fn framing(recipe: &Recipe, fault: &mut impl FnMut(String)) {
    let prompt = &recipe.prompt;
    let plain = prompt.template == Template::None;
    let custom = prompt.framing == FramingName::Custom;
    let own = [
        ("question_prefix", &prompt.question_prefix),
        ("answer_prefix", &prompt.answer_prefix),
        ("separator", &prompt.separator),
    ];
    for (name, value) in own {
        if !plain && value.is_some() {
            fault(format!(
                "prompt.{name}: a chat template says what stands around a question; prompt.instruction, prompt.system and \
                 prompt.assistant_prefix add to it"
            ));
        } else if plain && custom && value.is_none() {
            fault(format!("prompt.{name}: needed for framing \"custom\""));
        } else if !custom && value.is_some() {
            fault(format!("prompt.{name}: only framing \"custom\" takes it"));
        }
    }
    let of_chat = [
        ("system", prompt.system.is_some()),
        ("instruction", prompt.instruction.is_some()),
        ("assistant_prefix", prompt.assistant_prefix.is_some()),
        ("date", prompt.date.is_some()),
        ("variables", !prompt.variables.is_empty()),
    ];
    for (name, given) in of_chat {
        if plain && given {
            fault(format!(
                "prompt.{name}: only a chat has it; set prompt.template = \"chat\""
            ));
        }
    }
    if prompt.stop.iter().flatten().any(String::is_empty) {
        fault("prompt.stop: an empty text would end every response at once".into());
    }
    if prompt
        .assistant_prefix
        .as_deref()
        .is_some_and(|text| text.ends_with(' '))
    {
        fault(
            "prompt.assistant_prefix ends in a space, which tokenizers merge with the response's first word: drop it, responses bring \
             their own"
                .into(),
        );
    }
}
