//! Expressions and templates with what they read, worked out once.

use crate::expr::{ExprError, Program, References, Template};
use serde_json::Value;

/// Which variables something reads, so that only these are brought together for it.
#[derive(Debug, Default, Clone)]
pub(crate) struct Needs {
    /// Steps, by id.
    pub(crate) steps: Vec<String>,
    /// `steps` as a whole.
    pub(crate) all_steps: bool,
    /// Secrets, by name.
    pub(crate) secrets: Vec<String>,
    /// `secrets` as a whole, which nobody may read.
    pub(crate) all_secrets: bool,
    /// Other variables.
    pub(crate) variables: Vec<String>,
}

impl Needs {
    fn of(references: &References) -> Needs {
        let mut needs = Needs {
            steps: owned(references.steps()),
            secrets: owned(references.secrets()),
            variables: owned(references.variables()),
            ..Needs::default()
        };
        for reference in references.iter().filter(|r| r.path.is_empty()) {
            needs.all_steps |= reference.root == "steps";
            needs.all_secrets |= reference.root == "secrets";
        }
        needs
    }

    /// Both together.
    pub(crate) fn and(mut self, other: &Needs) -> Needs {
        for (mine, theirs) in [
            (&mut self.steps, &other.steps),
            (&mut self.secrets, &other.secrets),
            (&mut self.variables, &other.variables),
        ] {
            mine.extend(theirs.iter().cloned());
            mine.sort();
            mine.dedup();
        }
        self.all_steps |= other.all_steps;
        self.all_secrets |= other.all_secrets;
        self
    }
}

fn owned(names: std::collections::BTreeSet<&str>) -> Vec<String> {
    names.into_iter().map(str::to_owned).collect()
}

/// A compiled expression.
#[derive(Debug)]
pub(crate) struct Code {
    pub(crate) program: Program,
    pub(crate) needs: Needs,
    /// The key of the blueprint that holds it, for messages: `if`.
    pub(crate) place: &'static str,
}

impl Code {
    pub(crate) fn compile(source: &str, place: &'static str) -> Result<Code, ExprError> {
        let program = Program::compile(source)?;
        let needs = Needs::of(program.references());
        Ok(Code { program, needs, place })
    }
}

/// A compiled template.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) template: Template,
    pub(crate) needs: Needs,
    /// The key of the blueprint that holds it, for messages: `with`.
    pub(crate) place: &'static str,
}

impl Text {
    pub(crate) fn compile(value: &Value, place: &'static str) -> Result<Text, Vec<(String, ExprError)>> {
        let template = Template::compile(value)?;
        let needs = Needs::of(template.references());
        Ok(Text { template, needs, place })
    }
}
