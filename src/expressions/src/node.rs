//! What is evaluated: the parser's tree, with each form by its name.

use kube_cel::cel::Value;
use kube_cel::cel::common::ast::IdedExpr;
use schema::re2::KeptPattern;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
}

impl Binary {
    /// As it is written.
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Binary::Add => "+",
            Binary::Subtract => "-",
            Binary::Multiply => "*",
            Binary::Divide => "/",
            Binary::Modulo => "%",
            Binary::Equal => "==",
            Binary::NotEqual => "!=",
            Binary::Less => "<",
            Binary::LessOrEqual => "<=",
            Binary::Greater => ">",
            Binary::GreaterOrEqual => ">=",
            Binary::In => "in",
        }
    }

    /// As cel-go names it.
    pub(crate) fn function(self) -> String {
        match self {
            Binary::In => "@in".to_owned(),
            other => format!("_{}_", other.symbol()),
        }
    }
}

#[derive(Debug)]
pub(crate) enum Node {
    Literal(Value),
    Variable(String),
    /// `variables.name`, by its place among them.
    Composed(usize),
    /// `a.b`, `a.?b`
    Select {
        operand: Box<Node>,
        field: String,
        optional: bool,
    },
    /// `has(a.b)`
    Has {
        operand: Box<Node>,
        field: String,
    },
    /// `a[b]`, `a[?b]`
    Index {
        operand: Box<Node>,
        index: Box<Node>,
        optional: bool,
    },
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Not(Box<Node>),
    /// What fails is not false: how `all` and `exists` pass over an item that can not be judged.
    NotStrictlyFalse(Box<Node>),
    Conditional(Box<[Node; 3]>),
    Binary(Binary, Box<[Node; 2]>),
    /// Each with whether it is left out where it is an optional without a value.
    List(Vec<(Node, bool)>),
    Map(Vec<(Node, Node, bool)>),
    /// `all`, `exists`, `existsOne`
    Fold(Box<Fold>),
    /// `map`, `filter`, `transformList`, `transformMap`, `transformMapEntry`
    Collect(Box<Collect>),
    /// The list in the order of the keys that its items have in the other list: what `sortBy` becomes.
    SortBy {
        list: Box<Node>,
        keys: Box<Node>,
    },
    /// `cel.bind(name, value, body)`
    Bind {
        name: String,
        value: Box<Node>,
        body: Box<Node>,
    },
    /// `optional.optMap(name, body)`; flat where the body is an optional itself
    OptionalMap {
        operand: Box<Node>,
        name: String,
        body: Box<Node>,
        flat: bool,
    },
    Size(Box<Node>),
    TypeOf(Box<Node>),
    /// `dyn(x)`: what it is, but not for whoever checks types.
    Dyn(Box<Node>),
    /// `text.matches('…')`, compiled when it is first asked, where the pattern is written there.
    Matches {
        text: Box<Node>,
        pattern: Pattern,
    },
    /// A method of `authorizer` and of what it returns; the target is the first of the arguments.
    Authorize {
        method: String,
        arguments: Vec<Node>,
    },
    /// `Object.spec{…}`; a field may be left out where it is an optional without a value.
    Construct {
        type_name: String,
        fields: Vec<(String, Node, bool)>,
    },
    /// A function of the library. `call` has a variable for each of the arguments, the target being the first.
    Call {
        arguments: Vec<Node>,
        call: IdedExpr,
        function: String,
    },
}

#[derive(Debug)]
pub(crate) enum Pattern {
    Fixed(KeptPattern),
    Computed(Box<Node>),
}

#[derive(Debug)]
pub(crate) struct Fold {
    pub(crate) range: Node,
    /// The name of each item, or each key of a map.
    pub(crate) item: String,
    /// A second name: then the first one is of the places in a list, and this one of the items, or the values of a map.
    pub(crate) value: Option<String>,
    pub(crate) result_name: String,
    pub(crate) init: Node,
    pub(crate) condition: Node,
    pub(crate) step: Node,
    pub(crate) result: Node,
}

#[derive(Debug)]
pub(crate) struct Collect {
    pub(crate) range: Node,
    /// As in [`Fold`].
    pub(crate) item: String,
    pub(crate) value: Option<String>,
    pub(crate) condition: Option<Node>,
    pub(crate) transform: Node,
    pub(crate) made: Made,
}

/// What the transformed items are put together to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    List,
    /// Each is the value of the key or the place that it was of.
    Map,
    /// Each is a map itself, whose entries are taken.
    Entries,
}

impl Node {
    /// Every node below, each once.
    pub(crate) fn children(&self) -> Vec<&Node> {
        match self {
            Node::Literal(_) | Node::Variable(_) | Node::Composed(_) => Vec::new(),
            Node::Select { operand, .. } | Node::Has { operand, .. } => vec![operand],
            Node::Index { operand, index, .. } => vec![operand, index],
            Node::And(left, right) | Node::Or(left, right) => vec![left, right],
            Node::Not(of)
            | Node::NotStrictlyFalse(of)
            | Node::Size(of)
            | Node::TypeOf(of)
            | Node::Dyn(of) => vec![of],
            Node::Conditional(of) => of.iter().collect(),
            Node::Binary(_, of) => of.iter().collect(),
            Node::List(items) => items.iter().map(|(item, _)| item).collect(),
            Node::Map(entries) => entries.iter().flat_map(|(key, value, _)| [key, value]).collect(),
            Node::Fold(of) => vec![&of.range, &of.init, &of.condition, &of.step, &of.result],
            Node::Collect(of) => [&of.range, &of.transform].into_iter().chain(&of.condition).collect(),
            Node::SortBy { list, keys } => vec![list, keys],
            Node::Bind { value, body, .. } => vec![value, body],
            Node::OptionalMap { operand, body, .. } => vec![operand, body],
            Node::Matches { text, pattern: Pattern::Fixed(_) } => vec![text],
            Node::Matches { text, pattern: Pattern::Computed(pattern) } => vec![text, pattern],
            Node::Call { arguments, .. } | Node::Authorize { arguments, .. } => arguments.iter().collect(),
            Node::Construct { fields, .. } => fields.iter().map(|(_, value, _)| value).collect(),
        }
    }

    /// That no pattern that is written in it is too large. Each is compiled for that, and kept for nobody: it is for who accepts an
    /// expression.
    ///
    /// # Errors
    /// In Go's words.
    pub(crate) fn patterns_fit(&self) -> Result<(), String> {
        if let Node::Matches { pattern: Pattern::Fixed(pattern), .. } = self {
            pattern.fits()?;
        }
        self.children().into_iter().try_for_each(Node::patterns_fit)
    }

    /// Whether the variable is named anywhere; a variable of a macro that hides it counts too.
    pub(crate) fn names(&self, variable: &str) -> bool {
        matches!(self, Node::Variable(name) if name == variable)
            || self.children().into_iter().any(|node| node.names(variable))
    }

    /// Whether a field of a variable is asked for, or whether it is there.
    pub(crate) fn selects(&self, variable: &str, name: &str) -> bool {
        let is_it = match self {
            Node::Select { operand, field, .. } | Node::Has { operand, field } => {
                field == name && matches!(&**operand, Node::Variable(of) if of == variable)
            }
            _ => false,
        };
        is_it || self.children().into_iter().any(|node| node.selects(variable, name))
    }
}
