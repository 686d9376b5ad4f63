//! What becomes ids, in every way that a run makes them: prompts alone, after exemplars, and responses behind them.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use cdpo_model::Tokenizer;

use super::*;

const MARKING: [&str; 4] = ["legacy", "first", "always", "prefix"];

/// A committed tokenizer with `<s>` (1) and `</s>` (2); `<s>` stands before every sequence if `bos`, and `</s>` ends responses.
fn vocabulary(name: &str, bos: bool) -> Vocabulary {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cdpo-model/tests/fixtures");
    let path = folder.join(format!("tokenizers/{name}/tokenizer.json"));
    Vocabulary::of(
        Tokenizer::from_file(&path).unwrap(),
        bos.then_some(1),
        2,
        vec![2],
    )
}

fn problem(question: &str) -> Problem {
    let mut problem: Problem =
        serde_json::from_value(json!({"id": "q/0", "question": "", "answer": "3"})).unwrap();
    question.clone_into(&mut problem.question);
    problem
}

fn section(question_prefix: &str, exemplars: Option<&Path>) -> PromptSection {
    PromptSection {
        framing: FramingName::Custom,
        question_prefix: Some(question_prefix.into()),
        answer_prefix: Some("\nAnswer:".into()),
        separator: Some("\n\n".into()),
        exemplars: exemplars.map(Path::to_path_buf),
        ..PromptSection::default()
    }
}

fn text_prompt(section: &PromptSection, vocabulary: &mut Vocabulary) -> anyhow::Result<Prompt> {
    Prompt::new(section, vocabulary, Bos::Auto)
}

/// The text of the exemplars.
fn prefix(prompt: &Prompt) -> &str {
    match &prompt.form {
        Form::Plain(plain) => plain.prefix(),
        Form::Chat(_) => panic!("a chat"),
    }
}

/// A question in the section's framing.
fn framed(question: &str) -> String {
    format!("Question: {question}\nAnswer:")
}

fn exemplars() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let set = json!({"name": "two", "source": "written for this test", "licence": "Apache-2.0", "exemplars": [
        {"question": "How many apples?", "rationale": "Ada has 3 apples.", "answer": "3"},
        {"question": "How many hens?", "rationale": "Ben has 12 hens.", "answer": "12"},
    ]});
    std::fs::write(file.path(), set.to_string()).unwrap();
    file
}

#[test]
fn exemplars_question_and_response_have_the_joint_texts_ids() {
    let file = exemplars();
    for name in MARKING {
        let mut vocabulary = vocabulary(name, true);
        let prompt =
            text_prompt(&section("Question: ", Some(file.path())), &mut vocabulary).unwrap();
        let problem = problem("Ben buys 7 coins. How many coins?");
        let text = " Ben has 3 + 7 = 10 coins.\n#### 10";
        let question = prompt.question_ids(&vocabulary, &problem).unwrap();
        let response = prompt.response(&vocabulary, &problem, text).unwrap();
        let framed = framed(&problem.question);
        let joint = vocabulary
            .opening(&format!("{}{framed}{text}", prefix(&prompt)))
            .unwrap();
        let apart = [&prompt.prefix_ids[..], &question, &response.ids].concat();
        assert_eq!(apart, joint, "{name}");
        // The zero-shot prompt of training, and as it stands after the exemplars.
        let alone = vocabulary.opening(&framed).unwrap();
        assert_eq!(alone[0], 1);
        let train = |few_shot| {
            prompt
                .training_ids(&vocabulary, &framed, &alone, few_shot)
                .unwrap()
        };
        assert_eq!(train(false), alone);
        assert_eq!(train(true), question, "{name}");
        assert_eq!(
            prompt.as_trained(&vocabulary, &question, false).unwrap(),
            alone
        );
        // A word letter by letter, as no text has it.
        let letter = |text: &str| vocabulary.tokenizer.id_of(text).unwrap();
        let letters = ["c", "o", "i", "n", "s"].map(letter);
        let foreign = prompt.as_trained(&vocabulary, &letters, false).unwrap_err();
        assert!(foreign.to_string().contains("other ids"), "{foreign}");
        // The key of a training tells that its prompts continue the exemplars; without exemplars it is what it was.
        let key = |few_shot| prompt.training_settings(&vocabulary, few_shot);
        assert_eq!(key(false), json!([]));
        assert_eq!(
            key(true),
            json!({ "prefix": prompt.prefix_ids, "continued": true })
        );
        assert_ne!(
            question,
            alone[1..],
            "{name}: the mark is not the joint text's"
        );
        let foreign = prompt.training_ids(&vocabulary, &framed, &[1, 5, 6], true);
        assert!(foreign.unwrap_err().to_string().contains("other ids"));
    }
}

#[test]
fn a_prompt_without_exemplars_begins_the_sequence() {
    for name in MARKING {
        for bos in [false, true] {
            let mut vocabulary = vocabulary(name, bos);
            let prompt = text_prompt(&section("Question: ", None), &mut vocabulary).unwrap();
            let question = prompt
                .question_ids(&vocabulary, &problem("How many?"))
                .unwrap();
            let whole = [&prompt.prefix_ids[..], &question].concat();
            let framed = framed("How many?");
            assert_eq!(whole, vocabulary.opening(&framed).unwrap());
            assert_eq!(prompt.prefix_ids, vec![1; usize::from(bos)]);
            let few_shot = prompt
                .training_ids(&vocabulary, &framed, &whole, true)
                .unwrap();
            assert_eq!(few_shot, question);
            assert_eq!(
                prompt.as_trained(&vocabulary, &question, false).unwrap(),
                whole
            );
            let key = prompt.training_settings(&vocabulary, true);
            assert_eq!(key, json!(prompt.prefix_ids));
        }
    }
}

#[test]
fn bos_stands_once_where_the_text_brings_it() {
    for name in MARKING {
        for bos in [false, true] {
            let mut vocabulary = vocabulary(name, bos);
            let ids = vocabulary.opening("<s>How many").unwrap();
            assert_eq!((ids[0], ids.iter().filter(|id| **id == 1).count()), (1, 1));
            // A template's prompt: `<s>` comes with its text, at sampling as in training.
            let prompt = text_prompt(&section("<s>Question: ", None), &mut vocabulary).unwrap();
            let question = prompt
                .question_ids(&vocabulary, &problem("How many?"))
                .unwrap();
            let whole = [&prompt.prefix_ids[..], &question].concat();
            let framed = format!("<s>{}", framed("How many?"));
            assert_eq!(
                whole,
                vocabulary.tokenizer.encode(&framed).unwrap(),
                "{name}"
            );
        }
        let file = exemplars();
        let refused = text_prompt(
            &section("<s>Question: ", Some(file.path())),
            &mut vocabulary(name, true),
        );
        let told = refused.err().unwrap().to_string();
        assert!(
            told.contains("prompt.question_prefix") && told.contains("<s>"),
            "{told}"
        );
        let told = vocabulary(name, true)
            .response("Q", &[1, 9], "<s>It")
            .unwrap_err();
        assert!(told.to_string().contains("begins with \"<s>\""), "{told}");
    }
}

#[test]
fn a_response_that_brings_its_end_gets_no_second_one() {
    let chat = |eos: u32, stops: &[u32]| {
        let mut vocabulary = vocabulary("legacy", true);
        (vocabulary.eos, vocabulary.stops) = (eos, stops.to_vec());
        vocabulary
    };
    let vocabulary = chat(2, &[0, 2]);
    let of = |text: &str| {
        let response = vocabulary.response("How", &[1, 296], text).unwrap();
        assert!(!response.ids.contains(&2), "{text:?}: {response:?}");
        response
    };
    let plain = of(" It is 3.");
    assert_eq!((plain.text.as_str(), plain.end), (" It is 3.", 2));
    for ended in [" It is 3.</s>", " It is 3.</s>\n", " It is 3.</s> \n</s>"] {
        assert_eq!(of(ended), plain, "{ended:?}");
    }
    // Another of the model's ends (`<unk>` stands in for `<|eot_id|>`) is kept as the response's own.
    let other = of(" It is 3.<unk>\n");
    assert_eq!((&other.ids, other.end), (&plain.ids, 0));
    // In the middle it is content.
    let middle = vocabulary.response("How", &[1, 296], "a</s> b").unwrap();
    assert!(middle.ids.contains(&2) && middle.end == 2);
    // A special token that ends nothing stays, and the end comes behind it.
    let base = chat(2, &[2]).response("How", &[1, 296], "It<s>\n").unwrap();
    assert_eq!((base.ids.contains(&1), base.end), (true, 2));
}

#[test]
fn given_solutions_are_encoded_behind_their_prompts_without_their_ends() {
    let file = exemplars();
    for name in MARKING {
        let mut vocabulary = vocabulary(name, true);
        let prompt =
            text_prompt(&section("Question: ", Some(file.path())), &mut vocabulary).unwrap();
        let read = |response: &str| {
            let rows = tempfile::NamedTempFile::with_suffix(".jsonl").unwrap();
            let row = json!({"question": "How many?", "gold": "3", "response": response});
            std::fs::write(rows.path(), row.to_string()).unwrap();
            let mut read = crate::given::read(rows.path(), &vocabulary, &prompt)?;
            let (problem, trajectory) = read.remove(0);
            let question = prompt.question_ids(&vocabulary, &problem)?;
            let ids = [&prompt.prefix_ids[..], &question, &trajectory.ids].concat();
            let whole = format!("{}{}", prefix(&prompt), framed("How many?"));
            let joint = vocabulary.opening(&(whole + &trajectory.text))?;
            assert_eq!(ids, joint, "{name}");
            anyhow::Ok(trajectory.text)
        };
        assert_eq!(read(" It is 4.").unwrap(), " It is 4.");
        assert_eq!(read(" It is 4.</s>\n").unwrap(), " It is 4.");
        let refused = crate::outcome::line(&read("<s>It").unwrap_err());
        assert!(
            refused.contains("cannot be encoded: it begins with"),
            "{refused}"
        );
    }
}
