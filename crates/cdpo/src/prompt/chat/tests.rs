//! Chats against transformers: the same text and the same ids, cut where prompts have something in common. The cases are made by
//! `scripts/make_chat_fixtures.py`.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cdpo_data::chat::Variable;
use cdpo_model::Tokenizer;
use cdpo_model::source::{ModelSource, open_files};
use serde::Deserialize;

use super::*;
use crate::prompt::Prompt;

#[derive(Deserialize)]
struct Turn {
    role: String,
    content: String,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    #[serde(default)]
    template: String,
    #[serde(default)]
    tokenizer: String,
    #[serde(default)]
    config: Value,
    #[serde(default)]
    variables: BTreeMap<String, Variable>,
    date: Option<String>,
    #[serde(default = "yes")]
    generation: bool,
    #[serde(default)]
    model: String,
    messages: Vec<Turn>,
    refused: Option<String>,
    #[serde(default)]
    text: String,
    #[serde(default)]
    ids: Vec<u32>,
}

fn yes() -> bool {
    true
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chat")
}

fn cases(file: &str) -> Vec<Case> {
    let text = std::fs::read_to_string(fixtures().join(file)).unwrap();
    serde_json::from_str(&text).unwrap()
}

impl Case {
    /// The case's tokenizer, with its template beside it as a model's files have it.
    fn vocabulary(&self) -> Vocabulary {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        let others = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cdpo-model/tests/fixtures");
        let from = match self.tokenizer.as_str() {
            "bytes" => fixtures().join("tokenizer.json"),
            name => others.join(format!("tokenizers/{name}/tokenizer.json")),
        };
        std::fs::copy(from, &path).unwrap();
        let mut config = self.config.clone();
        let template = std::fs::read_to_string(fixtures().join(&self.template)).unwrap();
        config["chat_template"] = template.into();
        std::fs::write(
            folder.path().join("tokenizer_config.json"),
            config.to_string(),
        )
        .unwrap();
        with_ends(Tokenizer::from_file(&path).unwrap())
    }

    /// The recipe's section that asks the last of the messages: those before it are system and exemplars.
    fn section(&self, exemplars: &Path) -> PromptSection {
        let mut turns = &self.messages[..self.messages.len() - 1];
        let mut system = None;
        if let [first, rest @ ..] = turns
            && first.role == "system"
        {
            (system, turns) = (Some(first.content.clone()), rest);
        }
        let shown: Vec<Value> = turns
            .chunks(2)
            .map(|pair| {
                json!({"question": pair[0].content, "rationale": pair[1].content, "answer": "-"})
            })
            .collect();
        let set = json!({"name": "n", "source": "s", "licence": "l", "exemplars": shown});
        std::fs::write(exemplars, set.to_string()).unwrap();
        PromptSection {
            template: Template::Chat,
            exemplars: Some(exemplars.to_path_buf()),
            system,
            instruction: Some(String::new()),
            variables: self.variables.clone(),
            date: self.date.clone(),
            ..PromptSection::default()
        }
    }

    fn question(&self) -> Problem {
        let mut problem: Problem =
            serde_json::from_value(json!({"id": "q/0", "question": "", "answer": "3"})).unwrap();
        problem
            .question
            .clone_from(&self.messages.last().unwrap().content);
        problem
    }

    fn turns(&self) -> bool {
        self.messages.len() > 2
    }
}

fn with_ends(tokenizer: Tokenizer) -> Vocabulary {
    let ends = tokenizer.eos().to_vec();
    Vocabulary::of(tokenizer, None, ends[0], ends)
}

/// The prompt, and its ids as they come apart.
fn asked(case: &Case, vocabulary: &mut Vocabulary) -> anyhow::Result<(Prompt, Vec<u32>)> {
    let exemplars = tempfile::NamedTempFile::new().unwrap();
    let section = case.section(exemplars.path());
    let prompt = Prompt::new(&section, vocabulary, Bos::Auto)?;
    let ids = prompt.question_ids(vocabulary, &case.question())?;
    Ok((prompt, ids))
}

#[test]
fn texts_and_ids_are_transformers() {
    let cases = cases("cases.json");
    assert!(cases.len() >= 90);
    for case in &cases {
        let name = &case.name;
        let vocabulary = case.vocabulary();
        let section = PromptSection {
            template: Template::Chat,
            variables: case.variables.clone(),
            date: case.date.clone(),
            ..PromptSection::default()
        };
        let messages: Vec<Message> = case
            .messages
            .iter()
            .map(|turn| Message::new(&turn.role, turn.content.clone()))
            .collect();
        let rendered = template(&section, &vocabulary)
            .unwrap()
            .render(&messages, case.generation);
        if let Some(refused) = &case.refused {
            let told = rendered.unwrap_err().to_string();
            assert!(told.contains(refused), "{name}: {told}");
            continue;
        }
        let text = rendered.unwrap();
        assert_eq!(text, case.text, "{name}");
        assert_eq!(vocabulary.whole(&text).unwrap(), case.ids, "{name}");
    }
}

#[test]
fn a_prompt_cut_from_what_prompts_have_in_common_keeps_its_ids() {
    let mut with_turns = 0;
    for case in cases("cases.json").iter().filter(|case| case.generation) {
        let mut vocabulary = case.vocabulary();
        let asked = asked(case, &mut vocabulary);
        if let Some(refused) = &case.refused {
            let told = asked.err().unwrap().to_string();
            assert!(told.contains(refused), "{told}");
            continue;
        }
        let (prompt, own) = asked.unwrap();
        let whole = [&prompt.prefix_ids[..], &own].concat();
        assert_eq!(whole, case.ids, "{}", case.name);
        if case.turns() {
            // The exemplars are in the common part.
            let common = vocabulary.tokenizer.decode(&prompt.prefix_ids).unwrap();
            assert!(
                common.contains("Ben has 3 hens."),
                "{}: {common}",
                case.name
            );
            with_turns += 1;
        }
        assert!(!own.is_empty());
    }
    assert!(with_turns >= 25);
}

#[test]
fn training_prompts_are_the_prompts_without_exemplars_and_go_behind_them_where_they_can() {
    let (mut behind, mut refused) = (0, 0);
    for case in cases("cases.json").iter().filter(|case| case.generation) {
        let mut vocabulary = case.vocabulary();
        let Ok((prompt, own)) = asked(case, &mut vocabulary) else {
            continue;
        };
        let question = case.question();
        let (text, alone) = prompt.alone(&vocabulary, &question.question).unwrap();
        assert_eq!(vocabulary.whole(&text).unwrap(), alone);
        if !case.turns() {
            assert_eq!(alone, case.ids, "{}", case.name);
        }
        let training = |few_shot| prompt.training_ids(&vocabulary, &text, &alone, few_shot);
        assert_eq!(training(false).unwrap(), alone);
        if let Err(e) = prompt.check_few_shot() {
            assert!(e.to_string().contains("a question after exemplars"), "{e}");
            assert!(training(true).is_err());
            refused += 1;
            continue;
        }
        assert_eq!(training(true).unwrap(), own, "{}", case.name);
        let trained = |few_shot| prompt.as_trained(&vocabulary, &own, few_shot).unwrap();
        assert_eq!(trained(false), alone, "{}", case.name);
        assert_eq!(trained(true), case.ids, "{}", case.name);
        behind += 1;
    }
    // Gemma's and LLaMA 2's system message stands in the first turn.
    assert!(behind > 30 && refused >= 2, "{behind}, {refused}");
}

fn case(name: &str) -> Case {
    let mut all = cases("cases.json").into_iter();
    all.find(|case| case.name.starts_with(name)).unwrap()
}

#[test]
fn the_end_of_a_turn_ends_responses_and_bos_is_the_templates() {
    for (name, end, bos) in [
        ("llama3,", "<|eot_id|>", "<|begin_of_text|>"),
        ("qwen25", "<|im_end|>", ""),
        (
            "deepseek",
            "<｜end▁of▁sentence｜>",
            "<｜begin▁of▁sentence｜>",
        ),
        ("gemma,", "<end_of_turn>", "<bos>"),
        ("phi3", "<|end|>", ""),
        ("mistral, legacy", "</s>", "<s>"),
        ("llama2, first", "</s>", "<s>"),
    ] {
        let case = case(name);
        let mut vocabulary = case.vocabulary();
        let declared = vocabulary.eos;
        vocabulary.bos = vocabulary.tokenizer.bos();
        let (prompt, own) = asked(&case, &mut vocabulary).unwrap();
        assert_eq!(vocabulary.bos, None);
        let end = vocabulary.tokenizer.id_of(end).unwrap();
        assert_eq!(vocabulary.eos, end, "{name}");
        assert!(vocabulary.stops.contains(&end) && vocabulary.stops.contains(&declared));
        // A response given with its end gets no second one.
        let written = vocabulary.tokenizer.decode(&[end]).unwrap();
        let response = prompt
            .response(
                &vocabulary,
                &case.question(),
                &format!("It is 3.{written}\n"),
            )
            .unwrap();
        assert_eq!((response.text.as_str(), response.end), ("It is 3.", end));
        // With model.bos = true, too, BOS stands once.
        let exemplars = tempfile::NamedTempFile::new().unwrap();
        vocabulary.bos = vocabulary.tokenizer.bos();
        let again = Prompt::new(&case.section(exemplars.path()), &mut vocabulary, Bos::True);
        let ids = [&again.unwrap().prefix_ids[..], &own].concat();
        if let Some(bos) = vocabulary.tokenizer.id_of(bos) {
            assert_eq!(ids.iter().filter(|id| **id == bos).count(), 1, "{name}");
            assert_eq!(ids, case.ids);
        }
    }
}

#[test]
fn the_instruction_asks_for_a_box_unless_exemplars_show_the_form() {
    let case = case("qwen25");
    let mut vocabulary = case.vocabulary();
    let mut ending = |section: &PromptSection| {
        let prompt = Prompt::new(section, &mut vocabulary, Bos::Auto).unwrap();
        prompt.alone(&vocabulary, "How many?").unwrap().0
    };
    let section = PromptSection {
        template: Template::Chat,
        ..PromptSection::default()
    };
    let text = ending(&section);
    let expected = "<|im_start|>user\nHow many?\nPlease reason step by step, and put your final answer within \\boxed{}.<|im_end|>\n\
                    <|im_start|>assistant\n";
    assert!(text.ends_with(expected), "{text}");
    let shown = PromptSection {
        shots: Some(2),
        assistant_prefix: Some("Let's see.".into()),
        ..section
    };
    let text = ending(&shown);
    let expected = "user\nHow many?<|im_end|>\n<|im_start|>assistant\nLet's see.";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn a_template_that_is_not_there_is_named_with_the_remedy() {
    let mut case = case("qwen25");
    let mut told = |section: &PromptSection, config: Value| {
        case.config = config;
        let mut vocabulary = case.vocabulary();
        if section.date.is_some() {
            let path = fixtures().join("tokenizer.json");
            vocabulary = Vocabulary::of(Tokenizer::from_file(&path).unwrap(), None, 1, vec![1]);
        }
        let refused = Prompt::new(section, &mut vocabulary, Bos::Auto);
        refused.err().unwrap().to_string()
    };
    let eos = json!({"eos_token": "<|im_end|>"});
    let none = PromptSection {
        template: Template::Chat,
        date: Some("2024-07-06".into()),
        ..PromptSection::default()
    };
    let message = told(&none, eos.clone());
    assert!(
        message.contains("have no chat template") && message.contains("\"none\""),
        "{message}"
    );
    let missing = PromptSection {
        template: Template::File("/no/such.jinja".into()),
        ..PromptSection::default()
    };
    let message = told(&missing, eos);
    assert!(
        message.contains("/no/such.jinja") && message.contains("\"chat\""),
        "{message}"
    );
}

/// A template of this text over phi3's tokenizer.
fn by_text(source: &str, shots: Option<usize>) -> anyhow::Result<(Prompt, Vocabulary)> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), source).unwrap();
    let mut vocabulary = case("phi3").vocabulary();
    let section = PromptSection {
        template: Template::File(file.path().to_path_buf()),
        shots,
        ..PromptSection::default()
    };
    let prompt = Prompt::new(&section, &mut vocabulary, Bos::Auto)?;
    Ok((prompt, vocabulary))
}

#[test]
fn the_header_of_the_next_response_is_no_end() {
    let turns =
        "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}END\n{% endfor %}<|assistant|>\n";
    let refused = by_text(&turns.replace("END", ""), None).err().unwrap();
    let refused = refused.to_string();
    assert!(
        refused.contains("add_generation_prompt") && refused.contains("<|assistant|>"),
        "{refused}"
    );
    // With an end before the header, that is it.
    let (_, vocabulary) = by_text(&turns.replace("END", "<|end|>"), None).unwrap();
    assert_eq!(
        vocabulary
            .written(vocabulary.eos)
            .split_once(' ')
            .unwrap()
            .1,
        "\"<|end|>\""
    );
}

#[test]
fn a_template_without_special_tokens_is_not_blamed_on_the_system_message() {
    let plain = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}";
    let (prompt, vocabulary) = by_text(plain, Some(2)).unwrap();
    let refused = prompt.check_few_shot().unwrap_err().to_string();
    assert!(
        refused.contains("no special token") && !refused.contains("system"),
        "{refused}"
    );
    // A training prompt has less before it than one after exemplars, but all of its own.
    let (_, alone) = prompt.alone(&vocabulary, "1").unwrap();
    assert!(prompt.opening < 0.0 && !alone.is_empty());
}

#[test]
fn published_templates_give_transformers_ids() {
    let Some(models) = std::env::var_os("CDPO_TEST_MODELS") else {
        return;
    };
    let mut checked = 0;
    for case in cases("real.json") {
        let path = Path::new(&models).join(&case.model);
        let tokenizer = if path.is_dir() {
            Tokenizer::from_file(&path.join("tokenizer.json")).unwrap()
        } else if path.is_file() {
            let files = open_files(&ModelSource::Path(path), &mut |_| {}).unwrap();
            files.tokenizer
        } else {
            continue;
        };
        let mut vocabulary = with_ends(tokenizer);
        let (prompt, own) = asked(&case, &mut vocabulary).unwrap();
        let whole = [&prompt.prefix_ids[..], &own].concat();
        assert_eq!(whole, case.ids, "{}, {}", case.model, case.name);
        checked += 1;
    }
    assert!(checked > 0, "CDPO_TEST_MODELS has none of the models");
}
