//! What templates may do, what is refused, and with which words. Whole templates are held to transformers' ids in the binary's tests.
#![allow(clippy::unwrap_used)]

use super::*;

fn template(source: &str) -> ChatTemplate {
    ChatTemplate::new("t.jinja", source, Given::default()).unwrap()
}

fn says(source: &str) -> String {
    let messages = [
        Message::new("system", " Be brief. "),
        Message::new("user", "1 < 2?"),
    ];
    template(source).render(&messages, true).unwrap()
}

fn refused(source: &str) -> String {
    let messages = [Message::new("user", "1 < 2?")];
    ChatTemplate::new("t.jinja", source, Given::default())
        .and_then(|template| template.render(&messages, true))
        .unwrap_err()
        .to_string()
}

#[test]
fn blocks_are_trimmed_and_pythons_forms_are_printed() {
    for (source, text) in [
        // Jinja's own rule: the template's last line break is none of the text.
        ("{% if true %}\n  a\n    {% endif %}\nb\n", "  a\nb"),
        (
            "{{ messages[0].content | trim }}|{{ messages[-1]['role'].upper() }}",
            "Be brief.|USER",
        ),
        (
            "{% for m in messages[::-1] %}{{ m.role[0] }}{% if loop.last %}.{% endif %}{% endfor %}",
            "us.",
        ),
        (
            "{% for m in messages %}{% if m.role == 'system' %}{% continue %}{% endif %}{{ m.content }}{% break %}{% endfor %}",
            "1 < 2?",
        ),
        (
            "{{ add_generation_prompt }} {{ none }} {{ tools }} {{ 3 }} {{ 1.5 }}",
            "True None None 3 1.5",
        ),
        (
            "{{ 'a' is sequence }} {{ 'a' is iterable }} {{ messages is sequence }} {{ tools is mapping }}",
            "True True True False",
        ),
        (
            "{{ bos_token }}{{ 'none' if not bos_token }}{{ x is defined }}{% if x %}y{% endif %}",
            "noneFalse",
        ),
        (
            "{% for x in nobody %}{% endfor %}{{ 'a' if nobody }}{{ 'b' if messages }}{{ 'c' if nobody }}{{ nobody == 'x' }}{{ 'q' in nobody }}",
            "bFalseFalse",
        ),
        (
            "{{ x | default('d') }}{{ messages[0].name is none }}{{ messages[0].name == none }}",
            "dFalseFalse",
        ),
        (
            "{%- generation %}{% set x = 1 %}{{ x }}{% endgeneration -%}  {{ x is defined }}",
            "1False",
        ),
        (
            "{% macro f(x, y='!') %}{{ x }}{{ y }}{% endmacro %}{{ f('a') }}",
            "a!",
        ),
        (
            "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}",
            "2",
        ),
        (
            "{{ 'a</think>\nb'.split('</think>')[-1].lstrip('\n') }}",
            "b",
        ),
    ] {
        assert_eq!(says(source), text, "{source}");
    }
}

#[test]
fn json_is_pythons() {
    for (source, text) in [
        (
            "{{ messages[1] | tojson }}",
            r#"{"role": "user", "content": "1 < 2?"}"#,
        ),
        (
            "{{ ['é', none, true, 1, 1.0, {}] | tojson }}",
            r#"["é", null, true, 1, 1.0, {}]"#,
        ),
        (
            "{{ 'é😀' | tojson(ensure_ascii=true) }}",
            r#""\u00e9\ud83d\ude00""#,
        ),
        (
            "{{ {'b': [1, 2], 'a': []} | tojson(indent=2) }}",
            "{\n  \"b\": [\n    1,\n    2\n  ],\n  \"a\": []\n}",
        ),
        (
            "{{ {'b': 1, 'a': 2} | tojson(sort_keys=true, separators=(',', ':')) }}",
            r#"{"a":2,"b":1}"#,
        ),
    ] {
        assert_eq!(says(source), text, "{source}");
    }
}

#[test]
fn what_cannot_be_rendered_names_template_line_and_reason() {
    for (source, parts) in [
        ("a\n{{ nobody }}", &["t.jinja, line 2", "undefined"][..]),
        ("{{ messages | nofilter }}", &["line 1", "nofilter"]),
        ("\n\n{{ nofunction() }}", &["line 3", "nofunction"]),
        (
            "{% if messages is notest %}{% endif %}",
            &["line 1", "notest"],
        ),
        ("{% for m in messages %}", &["t.jinja", "line 1"]),
        (
            "{{ 'x' if not messages }}{% macro f() %}{{ messages[0].nothing }}{% endmacro %}\n{{ f() }}",
            &["line 1", "messages[0].nothing"],
        ),
        ("{{ messages[5].role }}", &["line 1", "undefined"]),
        ("{{ messages }}", &["line 1", "prints a list"]),
        (
            "{{ raise_exception('No system.') }}",
            &["line 1: it refuses the messages: No system."],
        ),
        ("{{ strftime_now('%Y') }}", &["line 1", "prompt.date"]),
        ("{{ messages.append(1) }}", &["line 1", "append"]),
        ("{% include 'x' %}", &["line 1"]),
    ] {
        let told = refused(source);
        for part in parts {
            assert!(told.contains(part), "{source}: {told}");
        }
    }
}

#[test]
fn a_date_and_variables_are_given_by_the_caller() {
    let given = Given {
        special_tokens: [("bos_token".to_owned(), "<s>".to_owned())].into(),
        variables: [
            ("enable_thinking".to_owned(), Variable::Flag(false)),
            ("n".to_owned(), Variable::Whole(3)),
        ]
        .into(),
        date: Some("2024-07-06".into()),
    };
    let source =
        "{{ bos_token }}{{ strftime_now('%d %b %Y, %-d') }}{{ enable_thinking is false }}{{ n }}";
    let template = ChatTemplate::new("t", source, given.clone()).unwrap();
    assert_eq!(
        template.render(&[], false).unwrap(),
        "<s>06 Jul 2024, 6True3"
    );
    let wrong = Given {
        date: Some("6 July".into()),
        ..given.clone()
    };
    let told = ChatTemplate::new("t", "", wrong).err().unwrap().to_string();
    assert!(told.contains("YYYY-MM-DD"), "{told}");
    let source = "{{ strftime_now('%Q') }}";
    let told = ChatTemplate::new("t", source, given)
        .unwrap()
        .render(&[], false);
    assert!(told.unwrap_err().to_string().contains("%Q"));
}

#[test]
fn reasoning_has_both_names_and_further_texts_are_there() {
    let mut message = Message::new("assistant", "4");
    message.more.insert("reasoning".into(), "2+2".into());
    message.more.insert("name".into(), "Ada".into());
    let source = "{% for m in messages %}{{ m.reasoning_content }}{{ m.thinking }}{{ m.name }}{{ m.content }}{% endfor %}";
    assert_eq!(
        template(source).render(&[message], false).unwrap(),
        "2+22+2Ada4"
    );
}
