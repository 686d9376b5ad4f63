//! Names of what an answer equals: an expression goes in, its name comes out if it only names something.

use super::answer::value;
use crate::function::Function;
use crate::options::GradeOptions;
use crate::syntax::{Constant, Expr};

/// The name that an expression is, if it only names something: a symbol, `f(x)`, `AB`, `AB : CD`, `(p, q)`, `|AB|`.
pub(crate) fn name(expr: &Expr) -> Option<String> {
    let all = |items: &[Expr]| items.iter().map(name).collect::<Option<Vec<_>>>();
    Some(match expr {
        Expr::Symbol(name) => name.clone(),
        // f(x), f(2) and P(A) are names of their own each.
        Expr::Apply(name, items) => {
            let keys: Option<Vec<String>> = items
                .iter()
                .map(|item| Some(value(item).ok()?.key(&GradeOptions::default())))
                .collect();
            format!("{name}({})", keys?.join(","))
        }
        Expr::Constant(Constant::E) => "e".into(),
        Expr::Constant(Constant::I) => "i".into(),
        Expr::Text(text) => text.clone(),
        Expr::Fence(_, items, _) => format!("({})", all(items)?.join(",")),
        Expr::Ratio(items) => all(items)?.join(":"),
        Expr::Call(
            function @ (Function::Abs | Function::Sin | Function::Cos | Function::Tan),
            items,
        ) => {
            format!("{}({})", function.name(), all(items)?.join(","))
        }
        Expr::Mul(a, b) => {
            let mut factors = [name(a)?, name(b)?];
            factors.sort();
            factors.concat()
        }
        Expr::Div(a, b) => format!("{}/{}", name(a)?, name(b)?),
        Expr::Unit(a, _) => name(a)?,
        _ => return None,
    })
}
