//! Commands: fractions, roots, functions, Greek letters, text.

use super::environment::environment;
use super::group::{argument, braced, degree, group, root_argument, script};
use super::input::{
    Input, Parsed, attempt, deeper, fail, inside, link, peek, peek_command, take, take_any,
    take_command,
};
use super::operator::{expression, factor, half, is_letter, signed_factor};
use super::{Constant, Expr, Reading, fence, surface, symbol, unit};
use crate::function::Function;
use crate::rational::integer;

/// What a backslash begins.
pub(super) fn command(input: &mut Input<'_>) -> Parsed<Expr> {
    if take(input, "\\{") {
        return fence::set(input);
    }
    if take(input, "\\|") {
        let inner = deeper(input, |input| inside(input, 1, 1, expression))?;
        return if take(input, "\\|") {
            Ok(Expr::Apply("norm".into(), vec![inner]))
        } else {
            fail()
        };
    }
    if take(input, "\\$") {
        return Ok(Expr::Unit(Box::new(signed_factor(input)?), "$".into()));
    }
    let Some(name) = peek_command(input) else {
        return fail();
    };
    match name {
        "text" | "mathrm" | "mbox" | "textbf" | "textit" | "textnormal" | "textrm" | "rm"
        | "operatorname" => {
            return text(input, name);
        }
        "pm" | "mp" | "cdot" | "times" | "ast" | "bullet" | "div" | "bmod" | "mod" | "lor"
        | "land" | "vee" | "wedge" | "cup" | "cap" | "setminus" | "end" | "rangle" | "rbrace"
        | "rfloor" | "rceil" | "rvert" | "rbrack" | "choose" | "mid" | "degree" | "pmod" => {
            return fail();
        }
        _ if super::relation::named(name).is_some() => return fail(),
        _ => {}
    }
    take_command(input, name);
    match name {
        "frac" | "dfrac" | "tfrac" | "cfrac" => {
            let top = argument(input)?;
            Ok(Expr::Div(Box::new(top), Box::new(argument(input)?)))
        }
        "binom" | "dbinom" => {
            let top = argument(input)?;
            Ok(Expr::Call(Function::Binomial, vec![top, argument(input)?]))
        }
        "sqrt" => {
            let exponent = match degree(input) {
                Some(n) => Expr::Div(Box::new(Expr::Number(integer(1), None)), Box::new(n)),
                None => half(),
            };
            Ok(Expr::Power(
                Box::new(root_argument(input)?),
                Box::new(exponent),
            ))
        }
        "pi" => Ok(Expr::Constant(Constant::Pi)),
        "infty" => Ok(Expr::Constant(Constant::Infinity)),
        "emptyset" | "varnothing" => Ok(Expr::Constant(Constant::Empty)),
        "mathbb" => match braced(input)?.trim() {
            "R" => Ok(Expr::Constant(Constant::Reals)),
            set => Ok(Expr::Symbol(format!("\\mathbb{{{set}}}"))),
        },
        "lbrace" => fence::set(input),
        "lbrack" => {
            // Read as the bracket it is.
            fail()
        }
        "lfloor" | "lceil" | "lvert" | "vert" | "langle" => fence::command_fence(input, name),
        "begin" => environment(input),
        "overline" | "bar" | "hat" | "widehat" | "vec" | "overrightarrow" => {
            let inner = accented(input)?;
            symbol::dressed(input, format!("\\{name}{{{inner}}}"))
        }
        "sum" | "prod" | "int" | "lim" => big_operator(input, name),
        "ldots" | "dots" | "dotsc" | "cdots" => Ok(Expr::Symbol("...".into())),
        _ => match Function::named(name) {
            Some(function) => named_function(input, function),
            None => symbol::dressed(input, format!("\\{name}")),
        },
    }
}

fn accented(input: &mut Input<'_>) -> Parsed<String> {
    if peek(input) == Some('{') {
        return Ok(braced(input)?
            .chars()
            .filter(|c| !c.is_whitespace())
            .collect());
    }
    match argument(input)? {
        Expr::Symbol(name) => Ok(name),
        _ => fail(),
    }
}

/// A function with its power, base and argument: `\sin^2 x`, `\log_2 8`, `\ln(x + 1)`.
pub(super) fn named_function(input: &mut Input<'_>, function: Function) -> Parsed<Expr> {
    let mut base = None;
    let mut power = None;
    loop {
        if base.is_none() && function == Function::Log && take(input, "_") {
            base = Some(script(input)?);
        } else if power.is_none() && take(input, "^") {
            power = Some(script(input)?);
        } else {
            break;
        }
    }
    let arguments = arguments(input)?;
    let mut function = function;
    if let Some(inverse) = inverse(function, power.as_ref()) {
        function = inverse;
        power = None;
    }
    let value = match (base, arguments.as_slice()) {
        (Some(base), [x]) => Expr::Log(Box::new(base), Box::new(x.clone())),
        _ => Expr::Call(function, arguments),
    };
    Ok(match power {
        Some(power) => Expr::Power(Box::new(value), Box::new(power)),
        None => value,
    })
}

fn inverse(function: Function, power: Option<&Expr>) -> Option<Function> {
    let Some(Expr::Neg(one)) = power else {
        return None;
    };
    if **one != Expr::Number(integer(1), None) {
        return None;
    }
    match function {
        Function::Sin => Some(Function::Arcsin),
        Function::Cos => Some(Function::Arccos),
        Function::Tan => Some(Function::Arctan),
        _ => None,
    }
}

/// The arguments of a function: in parentheses, or the factors that follow up to the next operator or function.
fn arguments(input: &mut Input<'_>) -> Parsed<Vec<Expr>> {
    if peek(input) == Some('(')
        && let Some(arguments) = attempt(input, fence::arguments)
    {
        return Ok(arguments);
    }
    if peek(input) == Some('{') {
        return Ok(vec![group(input)?]);
    }
    let mut product = deeper(input, factor)?;
    loop {
        let begins = match peek(input) {
            Some('\\') => peek_command(input).is_some_and(|name| {
                Function::named(name).is_none()
                    && !matches!(name, "sum" | "prod" | "int" | "lim" | "begin" | "text")
            }),
            Some(c) => is_letter(c) && !starts_with_function(input),
            None => false,
        };
        let next = if begins { attempt(input, factor) } else { None };
        match next {
            Some(Expr::Fence(..) | Expr::Set(_) | Expr::Text(_)) => return fail(),
            Some(next) => {
                link(input)?;
                product = Expr::Mul(Box::new(product), Box::new(next));
            }
            None => return Ok(vec![product]),
        }
    }
}

fn starts_with_function(input: &Input<'_>) -> bool {
    let rest = input.input.trim_start();
    let len = rest
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(rest.len());
    Function::named(&rest[..len]).is_some()
}

/// `\sum_{k=0}^{n} …` and its like, known by their text alone.
fn big_operator(input: &mut Input<'_>, name: &str) -> Parsed<Expr> {
    let mut parts = Vec::new();
    let mut title = name.to_owned();
    loop {
        if take(input, "_") {
            title.push('_');
        } else if take(input, "^") {
            title.push('^');
        } else {
            break;
        }
        let part = if peek(input) == Some('{') {
            super::input::expect(input, "{")?;
            let part = deeper(input, |input| inside(input, 0, 0, super::list::item))?;
            super::input::expect(input, "}")?;
            part
        } else {
            script(input)?
        };
        parts.push(part);
    }
    // The body goes on to the next sign.
    let mut body = deeper(input, factor)?;
    while let Some(next) = attempt(input, |input| {
        take_any(input, &["cdot", "times"]);
        deeper(input, factor)
    }) {
        link(input)?;
        body = Expr::Mul(Box::new(body), Box::new(next));
    }
    parts.push(body);
    Ok(Expr::Apply(title, parts))
}

/// `\text{…}` and its like: a function name, something that reads as mathematics, or words.
fn text(input: &mut Input<'_>, name: &str) -> Parsed<Expr> {
    let before = input.input;
    take_command(input, name);
    let content = if peek(input) == Some('{') {
        braced(input)?
    } else {
        // `\rm` and its like, without braces.
        return fail();
    };
    let content = content.trim();
    let content = content.trim_matches(['$', ' ']);
    if let Some(function) = Function::named(content) {
        return named_function(input, function);
    }
    if content.is_empty() || unit::conjunction(content).is_some() {
        input.input = before;
        return fail();
    }
    // "5 students": a quantity as text.
    let quantity = content.starts_with(|c: char| c.is_ascii_digit());
    let mathematical = content
        .split(|c: char| !c.is_alphabetic())
        .all(|run| run.chars().count() <= 1)
        || content.contains(['\\', '=', '+', '_', '^']);
    if mathematical || quantity {
        let reading: Reading = input.state.reading;
        if let Ok(cleaned) = surface::clean(content) {
            let mut inner = super::input::start(&cleaned, reading, input.state.subscript);
            inner.state.fences = usize::from(!quantity);
            let parsed = deeper(input, |_| super::list::answer(&mut inner));
            if let Ok(expr) = parsed {
                return match expr {
                    Expr::Symbol(name) => symbol::dressed(input, name),
                    expr => Ok(expr),
                };
            }
        }
    }
    Ok(Expr::Text(content.to_owned()))
}
