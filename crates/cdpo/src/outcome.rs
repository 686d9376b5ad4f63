//! How a command ends when it does not simply succeed.

/// An error with its causes in one line, each once: many messages have their cause's in them.
pub(crate) fn line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        if line.is_empty() {
            line = text;
        } else if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
    }
    line
}

/// The command or the recipe is at fault: exit code 2.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// The user ended it: exit code 130.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted; everything finished so far is kept, and the same command goes on from here")
    }
}

impl std::error::Error for Interrupted {}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::line;

    #[test]
    fn a_cause_is_named_once() {
        let error = anyhow!("no such file").context("/a/b: no such file");
        assert_eq!(line(&error), "/a/b: no such file");
        let within = anyhow!("no such file").context("/a/b: no such file; is it gone?");
        assert_eq!(line(&within), "/a/b: no such file; is it gone?");
        let error = error.context("the model cannot be opened");
        assert_eq!(
            line(&error),
            "the model cannot be opened: /a/b: no such file"
        );
        assert_eq!(line(&anyhow!("x").context("y")), "y: x");
    }
}
