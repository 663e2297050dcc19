//! What the functions of the library take and return, of those where all forms are known. One that is not listed may take
//! anything.

use crate::types::Ty;
use std::collections::HashMap;
use std::sync::LazyLock;

/// One form a line: of a method the type of its target first, of a function its whole name after `fn`. `A` and `B` are
/// the same type wherever they stand in a line.
const FORMS: &str = "
string.contains(string) bool
string.startsWith(string) bool
string.endsWith(string) bool
string.charAt(int) string
string.indexOf(string) int
string.indexOf(string, int) int
list<A>.indexOf(A) int
string.lastIndexOf(string) int
string.lastIndexOf(string, int) int
list<A>.lastIndexOf(A) int
list<string>.join() string
list<string>.join(string) string
string.lowerAscii() string
string.upperAscii() string
string.replace(string, string) string
string.replace(string, string, int) string
string.split(string) list<string>
string.split(string, int) list<string>
string.substring(int) string
string.substring(int, int) string
string.trim() string
string.format(list<dyn>) string
string.find(string) string
string.findAll(string) list<string>
string.findAll(string, int) list<string>
fn matches(string, string) bool
fn strings.quote(string) string
fn jsonpatch.escapeKey(string) string
list<A>.isSorted() bool
list<A>.sum() A
list<A>.min() A
list<A>.max() A
list<A>.distinct() list<A>
list<A>.slice(int, int) list<A>
list<int>.sort() list<int>
list<uint>.sort() list<uint>
list<double>.sort() list<double>
list<bool>.sort() list<bool>
list<duration>.sort() list<duration>
list<timestamp>.sort() list<timestamp>
list<string>.sort() list<string>
list<bytes>.sort() list<bytes>
list<A>.reverse() list<A>
string.reverse() string
list<list<A>>.flatten() list<A>
list<dyn>.flatten(int) list<dyn>
fn lists.range(int) list<int>
list<A>.first() optional_type<A>
list<A>.last() optional_type<A>
list<optional_type<A>>.unwrapOpt() list<A>
fn optional.unwrap(list<optional_type<A>>) list<A>
fn sets.contains(list<dyn>, list<dyn>) bool
fn sets.equivalent(list<dyn>, list<dyn>) bool
fn sets.intersects(list<dyn>, list<dyn>) bool
fn int(int) int
fn int(uint) int
fn int(double) int
fn int(string) int
fn int(timestamp) int
fn int(duration) int
fn uint(uint) uint
fn uint(int) uint
fn uint(double) uint
fn uint(string) uint
fn double(double) double
fn double(int) double
fn double(uint) double
fn double(string) double
fn string(string) string
fn string(bool) string
fn string(bytes) string
fn string(int) string
fn string(uint) string
fn string(double) string
fn string(timestamp) string
fn string(duration) string
fn string(net.IP) string
fn string(net.CIDR) string
fn bool(bool) bool
fn bool(string) bool
fn bytes(bytes) bytes
fn bytes(string) bytes
fn timestamp(timestamp) timestamp
fn timestamp(string) timestamp
fn timestamp(int) timestamp
fn duration(duration) duration
fn duration(string) duration
fn duration(int) duration
timestamp.getFullYear() int
timestamp.getFullYear(string) int
timestamp.getMonth() int
timestamp.getMonth(string) int
timestamp.getDayOfYear() int
timestamp.getDayOfYear(string) int
timestamp.getDayOfMonth() int
timestamp.getDayOfMonth(string) int
timestamp.getDate() int
timestamp.getDate(string) int
timestamp.getDayOfWeek() int
timestamp.getDayOfWeek(string) int
timestamp.getHours() int
timestamp.getHours(string) int
duration.getHours() int
timestamp.getMinutes() int
timestamp.getMinutes(string) int
duration.getMinutes() int
timestamp.getSeconds() int
timestamp.getSeconds(string) int
duration.getSeconds() int
timestamp.getMilliseconds() int
timestamp.getMilliseconds(string) int
duration.getMilliseconds() int
optional_type<A>.value() A
optional_type<A>.hasValue() bool
optional_type<A>.or(optional_type<A>) optional_type<A>
optional_type<A>.orValue(A) A
fn optional.of(A) optional_type<A>
fn optional.ofNonZeroValue(A) optional_type<A>
fn optional.none() optional_type<A>
fn url(string) kubernetes.URL
fn isURL(string) bool
kubernetes.URL.getScheme() string
kubernetes.URL.getHost() string
kubernetes.URL.getHostname() string
kubernetes.URL.getPort() string
kubernetes.URL.getEscapedPath() string
kubernetes.URL.getQuery() map<string, list<string>>
fn ip(string) net.IP
net.CIDR.ip() net.IP
fn isIP(string) bool
fn ip.isCanonical(string) bool
net.IP.family() int
net.IP.isUnspecified() bool
net.IP.isLoopback() bool
net.IP.isLinkLocalMulticast() bool
net.IP.isLinkLocalUnicast() bool
net.IP.isGlobalUnicast() bool
fn cidr(string) net.CIDR
fn isCIDR(string) bool
net.CIDR.containsIP(string) bool
net.CIDR.containsIP(net.IP) bool
net.CIDR.containsCIDR(string) bool
net.CIDR.containsCIDR(net.CIDR) bool
net.CIDR.prefixLength() int
net.CIDR.masked() net.CIDR
fn quantity(string) kubernetes.Quantity
fn isQuantity(string) bool
kubernetes.Quantity.isInteger() bool
kubernetes.Quantity.asInteger() int
kubernetes.Quantity.asApproximateFloat() double
kubernetes.Quantity.sign() int
kubernetes.Quantity.add(kubernetes.Quantity) kubernetes.Quantity
kubernetes.Quantity.add(int) kubernetes.Quantity
kubernetes.Quantity.sub(kubernetes.Quantity) kubernetes.Quantity
kubernetes.Quantity.sub(int) kubernetes.Quantity
kubernetes.Quantity.isGreaterThan(kubernetes.Quantity) bool
kubernetes.Quantity.isLessThan(kubernetes.Quantity) bool
kubernetes.Quantity.compareTo(kubernetes.Quantity) int
fn semver(string) kubernetes.Semver
fn semver(string, bool) kubernetes.Semver
fn isSemver(string) bool
fn isSemver(string, bool) bool
kubernetes.Semver.major() int
kubernetes.Semver.minor() int
kubernetes.Semver.patch() int
kubernetes.Semver.isGreaterThan(kubernetes.Semver) bool
kubernetes.Semver.isLessThan(kubernetes.Semver) bool
kubernetes.Semver.compareTo(kubernetes.Semver) int
fn format.named(string) optional_type<kubernetes.NamedFormat>
kubernetes.NamedFormat.validate(string) optional_type<list<string>>
fn format.dns1123Label() kubernetes.NamedFormat
fn format.dns1123Subdomain() kubernetes.NamedFormat
fn format.dns1035Label() kubernetes.NamedFormat
fn format.dns1123LabelPrefix() kubernetes.NamedFormat
fn format.dns1123SubdomainPrefix() kubernetes.NamedFormat
fn format.dns1035LabelPrefix() kubernetes.NamedFormat
fn format.qualifiedName() kubernetes.NamedFormat
fn format.labelValue() kubernetes.NamedFormat
fn format.uri() kubernetes.NamedFormat
fn format.uuid() kubernetes.NamedFormat
fn format.byte() kubernetes.NamedFormat
fn format.date() kubernetes.NamedFormat
fn format.datetime() kubernetes.NamedFormat
";

#[derive(Debug)]
enum Pattern {
    Is(Ty<'static>),
    /// `A`: what it was first.
    Same(char),
    List(Box<Pattern>),
    Map(Box<[Pattern; 2]>),
    Optional(Box<Pattern>),
}

#[derive(Debug)]
struct Form {
    is_method: bool,
    arguments: Vec<Pattern>,
    result: Pattern,
}

static TABLE: LazyLock<HashMap<&'static str, Vec<Form>>> = LazyLock::new(|| {
    let mut table: HashMap<&str, Vec<Form>> = HashMap::new();
    for (name, form) in FORMS.lines().filter(|line| !line.is_empty()).map(form) {
        table.entry(name).or_default().push(form);
    }
    table
});

/// # Panics
/// On a line that is none, as any use of the table would.
fn form(line: &'static str) -> (&'static str, Form) {
    let (head, result) = line.split_once(") ").expect("a form has a result");
    let (name, arguments) = head.split_once('(').expect("a form has arguments");
    let mut patterns: Vec<Pattern> = Vec::new();
    let (is_method, name) = match name.strip_prefix("fn ") {
        Some(name) => (false, name),
        None => {
            let (target, name) = name.rsplit_once('.').expect("a method has a target");
            patterns.push(pattern(target));
            (true, name)
        }
    };
    patterns.extend(arguments.split(", ").filter(|argument| !argument.is_empty()).map(pattern));
    (name, Form { is_method, arguments: patterns, result: pattern(result) })
}

fn pattern(text: &'static str) -> Pattern {
    let within = |name: &str| text.strip_prefix(name)?.strip_prefix('<')?.strip_suffix('>');
    if let Some(inner) = within("list") {
        return Pattern::List(Box::new(pattern(inner)));
    }
    if let Some(inner) = within("optional_type") {
        return Pattern::Optional(Box::new(pattern(inner)));
    }
    if let Some((key, value)) = within("map").and_then(|inner| inner.split_once(", ")) {
        return Pattern::Map(Box::new([pattern(key), pattern(value)]));
    }
    Pattern::Is(match text {
        "A" | "B" => return Pattern::Same(if text == "A" { 'A' } else { 'B' }),
        "dyn" => Ty::Dyn,
        "bool" => Ty::Bool,
        "int" => Ty::Int,
        "uint" => Ty::Uint,
        "double" => Ty::Double,
        "string" => Ty::Text,
        "bytes" => Ty::Bytes,
        "timestamp" => Ty::Timestamp,
        "duration" => Ty::Duration,
        name => Ty::Opaque(name),
    })
}

/// What the type variables of a form stand for.
type Bound<'s> = Vec<(char, Ty<'s>)>;

impl Pattern {
    fn admits<'s>(&self, ty: &Ty<'s>, bound: &mut Bound<'s>) -> bool {
        match (self, ty) {
            (_, Ty::Dyn) => true,
            (Pattern::Is(wanted), ty) => wanted.fits(ty),
            (Pattern::Same(name), ty) => match bound.iter().find(|(known, _)| known == name) {
                Some((_, known)) => known.fits(ty),
                None => {
                    bound.push((*name, ty.clone()));
                    true
                }
            },
            (Pattern::List(item), Ty::List(of)) => item.admits(of, bound),
            (Pattern::Optional(inner), Ty::Optional(of)) => inner.admits(of, bound),
            (Pattern::Map(each), Ty::Map(key, value)) => {
                each[0].admits(key, bound) && each[1].admits(value, bound)
            }
            (Pattern::Optional(_), Ty::Null) => true,
            _ => false,
        }
    }

    fn with<'s>(&self, bound: &Bound<'s>) -> Ty<'s> {
        match self {
            Pattern::Is(ty) => ty.clone(),
            Pattern::Same(name) => {
                bound.iter().find(|(known, _)| known == name).map_or(Ty::Dyn, |(_, ty)| ty.clone())
            }
            Pattern::List(item) => Ty::list(item.with(bound)),
            Pattern::Optional(inner) => Ty::optional(inner.with(bound)),
            Pattern::Map(each) => Ty::Map(each[0].with(bound).into(), each[1].with(bound).into()),
        }
    }
}

/// The type of what a call returns. The target of a method is the first of the arguments.
///
/// # Errors
/// No form of the function takes such arguments.
pub(crate) fn result<'s>(name: &str, is_method: bool, arguments: &[&Ty<'s>]) -> Result<Ty<'s>, ()> {
    let mut forms =
        TABLE.get(name).into_iter().flatten().filter(|form| form.is_method == is_method).peekable();
    if forms.peek().is_none() {
        return Ok(Ty::Dyn);
    }
    let results = forms.filter_map(|form| {
        let mut bound = Bound::new();
        let fits = form.arguments.len() == arguments.len()
            && form.arguments.iter().zip(arguments).all(|(pattern, ty)| pattern.admits(ty, &mut bound));
        fits.then(|| form.result.with(&bound))
    });
    results.reduce(|one, other| if one.to_string() == other.to_string() { one } else { Ty::Dyn }).ok_or(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::is_known;

    #[test]
    fn what_is_listed_is_in_the_library() {
        for (name, forms) in TABLE.iter() {
            for form in forms {
                let (prefix, name) = match name.split_once('.') {
                    Some((prefix, name)) if !form.is_method => (Some(prefix), name),
                    _ => (None, *name),
                };
                assert!(is_known(prefix, name, form.is_method), "{name}");
            }
        }
    }

    #[test]
    fn the_result_follows_from_the_arguments() {
        let list = |item: Ty<'static>| Ty::list(item);
        let cases: [(&str, bool, Vec<Ty<'_>>, Result<&str, ()>); 9] = [
            ("contains", true, vec![Ty::Text, Ty::Text], Ok("bool")),
            ("contains", true, vec![Ty::Int, Ty::Text], Err(())),
            ("contains", true, vec![Ty::Text], Err(())),
            ("indexOf", true, vec![list(Ty::Int), Ty::Int], Ok("int")),
            ("indexOf", true, vec![list(Ty::Int), Ty::Text], Err(())),
            ("max", true, vec![list(Ty::Double)], Ok("double")),
            ("orValue", true, vec![Ty::optional(Ty::Dyn), Ty::Int], Ok("int")),
            ("compareTo", true, vec![Ty::Dyn, Ty::Opaque("kubernetes.Semver")], Ok("int")),
            ("nobody.knows", false, vec![Ty::Int], Ok("dyn")),
        ];
        for (name, is_method, arguments, want) in cases {
            let found = result(name, is_method, &arguments.iter().collect::<Vec<_>>());
            let shown = found.map(|ty| ty.to_string());
            assert_eq!(shown, want.map(str::to_owned), "{name} {arguments:?}");
        }
    }
}
