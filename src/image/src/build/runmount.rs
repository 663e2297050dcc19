//! `RUN --mount=…`, understood.

use super::suggest::with_suggestion;
use crate::cache_mounts::Sharing;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RunMountSpec {
    pub(super) kind: Kind,
    pub(super) from: Option<String>,
    pub(super) source: Option<String>,
    pub(super) target: Option<String>,
    pub(super) read_only: bool,
    pub(super) required: bool,
    /// Bytes of a tmpfs.
    pub(super) size: Option<u64>,
    pub(super) id: Option<String>,
    pub(super) sharing: Option<Sharing>,
    pub(super) mode: Option<u32>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    /// The variable that gets a secret.
    pub(super) env: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Bind,
    Cache,
    Tmpfs,
    Secret,
    Ssh,
}

const KINDS: [(&str, Kind); 5] = [
    ("bind", Kind::Bind),
    ("cache", Kind::Cache),
    ("tmpfs", Kind::Tmpfs),
    ("secret", Kind::Secret),
    ("ssh", Kind::Ssh),
];
const SHARINGS: [(&str, Sharing); 3] =
    [("shared", Sharing::Shared), ("private", Sharing::Private), ("locked", Sharing::Locked)];
const KEYS: [&str; 18] = [
    "type",
    "from",
    "source",
    "target",
    "readonly",
    "id",
    "sharing",
    "required",
    "mode",
    "uid",
    "gid",
    "src",
    "dst",
    "destination",
    "ro",
    "rw",
    "readwrite",
    "env",
];

type Result<T> = std::result::Result<T, String>;

/// Without variables.
pub(super) fn parse(text: &str) -> Result<RunMountSpec> {
    let fields = fields(text)?;
    let mut spec = RunMountSpec::default();
    let mut read_only = None;
    for field in &fields {
        set(&mut spec, &mut read_only, field)?;
    }
    spec.read_only = read_only.unwrap_or(!matches!(spec.kind, Kind::Cache | Kind::Tmpfs));
    validate(&spec)?;
    Ok(spec)
}

/// The `from` of a mount that may not be right yet.
pub(super) fn from(text: &str) -> Option<String> {
    let fields = fields(text).ok()?;
    let from = fields.iter().filter_map(|field| field.split_once('='));
    from.filter(|(key, _)| key.eq_ignore_ascii_case("from")).map(|(_, value)| value.to_owned()).next_back()
}

fn set(spec: &mut RunMountSpec, read_only: &mut Option<bool>, field: &str) -> Result<()> {
    let (key, value) = field.split_once('=').map_or((field, None), |(key, value)| (key, Some(value)));
    let key = key.to_ascii_lowercase();
    let is_switch = matches!(key.as_str(), "readonly" | "ro" | "readwrite" | "rw" | "required");
    let Some(text) = value.or(is_switch.then_some("true")) else {
        return Err(format!("invalid field '{field}' must be a key=value pair"));
    };
    let value = || Some(text.to_owned());
    match key.as_str() {
        "type" => spec.kind = one_of(&KINDS, "mount type", text)?,
        "from" => spec.from = value(),
        "source" | "src" => spec.source = value(),
        "target" | "dst" | "destination" => spec.target = value(),
        "readonly" | "ro" => *read_only = Some(switch(&key, text)?),
        "readwrite" | "rw" => *read_only = Some(!switch(&key, text)?),
        "required" if matches!(spec.kind, Kind::Secret | Kind::Ssh) => spec.required = switch(&key, text)?,
        "size" if spec.kind == Kind::Tmpfs => {
            spec.size = Some(size(text).ok_or_else(|| format!("invalid value for size: {text}"))?)
        }
        "required" | "size" => {
            return Err(format!("unexpected key '{key}' for mount type '{}'", name(spec.kind)));
        }
        "id" => spec.id = value(),
        "sharing" => spec.sharing = Some(one_of(&SHARINGS, "sharing value", text)?),
        "mode" => {
            let mode = u32::from_str_radix(text, 8);
            spec.mode = Some(mode.map_err(|_| format!("invalid value {text} for mode"))?);
        }
        "uid" => spec.uid = Some(id(&key, text)?),
        "gid" => spec.gid = Some(id(&key, text)?),
        "env" => spec.env = value(),
        other => {
            return Err(with_suggestion(format!("unexpected key '{other}' in '{field}'"), other, &KEYS));
        }
    }
    Ok(())
}

fn id(key: &str, text: &str) -> Result<u32> {
    let number = cri::parse_id(text).ok().flatten();
    number.ok_or_else(|| format!("invalid value {text} for {key}"))
}

fn validate(spec: &RunMountSpec) -> Result<()> {
    let kind = name(spec.kind);
    let may_own = matches!(spec.kind, Kind::Secret | Kind::Ssh | Kind::Cache);
    for (key, is_given) in
        [("mode", spec.mode.is_some()), ("uid", spec.uid.is_some()), ("gid", spec.gid.is_some())]
    {
        if is_given && !may_own {
            return Err(format!("{key} not allowed for {kind:?} type mounts"));
        }
    }
    if spec.env.is_some() && spec.kind != Kind::Secret {
        return Err(format!("env not allowed for {kind:?} type mounts"));
    }
    if spec.kind == Kind::Secret {
        if spec.from.is_some() {
            return Err("secret mount should not have a from".into());
        }
        if spec.sharing.is_some() {
            return Err("secret mount should not define sharing".into());
        }
        if spec.source.is_none() && spec.target.is_none() && spec.id.is_none() {
            return Err("invalid secret mount. one of source, target required".into());
        }
        if spec.source.is_some() && spec.id.is_some() {
            return Err("both source and id can't be set".into());
        }
    }
    if spec.sharing.is_some() && spec.kind != Kind::Cache {
        return Err(format!("invalid cache sharing set for {kind} mount"));
    }
    Ok(())
}

fn name(kind: Kind) -> &'static str {
    KINDS.iter().find(|(_, known)| *known == kind).map_or("", |(name, _)| *name)
}

fn one_of<T: Copy>(known: &[(&str, T)], what: &str, text: &str) -> Result<T> {
    let found = known.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        with_suggestion(format!("unsupported {what} {text:?}"), text, &names)
    })
}

fn switch(key: &str, text: &str) -> Result<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        other => Err(format!("invalid value for {key}: {other}")),
    }
}

/// `64m`, `1.5GiB`, `1000` → bytes; the units are powers of 1024.
pub(super) fn size(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    let unit = text[end..].trim().trim_end_matches('b').trim_end_matches('i');
    let power = match unit {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    Some((number * 1024f64.powi(power)) as u64)
}

/// Comma-separated, with quotes where a value holds a comma.
fn fields(text: &str) -> Result<Vec<String>> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        let Some(field) = fields.last_mut() else { break };
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => quoted = true,
            ',' if !quoted => fields.push(String::new()),
            c => field.push(c),
        }
    }
    match quoted {
        true => Err("failed to parse csv mounts: extraneous or missing \" in quoted-field".into()),
        false => Ok(fields),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_understood() {
        let spec =
            parse("type=cache,target=/c,id=x,sharing=locked,uid=5,mode=0700,from=base,src=/a").unwrap();
        assert_eq!((spec.kind, spec.read_only, spec.sharing), (Kind::Cache, false, Some(Sharing::Locked)));
        assert_eq!((spec.uid, spec.gid, spec.mode), (Some(5), None, Some(0o700)));
        assert_eq!((spec.from.as_deref(), spec.source.as_deref()), (Some("base"), Some("/a")));
        let spec = parse("target=/x").unwrap();
        assert_eq!((spec.kind, spec.read_only), (Kind::Bind, true));
        assert!(!parse("type=bind,target=/x,rw").unwrap().read_only);
        assert_eq!(parse("type=tmpfs,dst=/t,size=1.5k").unwrap().size, Some(1536));
        assert_eq!(parse("\"target=/a,b\",type=bind").unwrap().target.as_deref(), Some("/a,b"));
        let secret = parse("type=secret,id=k,required,env=TOKEN").unwrap();
        assert!(secret.required && secret.env.as_deref() == Some("TOKEN"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, want) in [
            ("type=bnd,target=/x", "unsupported mount type \"bnd\" (did you mean bind?)"),
            (
                "type=cache,target=/x,sharing=share",
                "unsupported sharing value \"share\" (did you mean shared?)",
            ),
            ("type=cache,target", "invalid field 'target' must be a key=value pair"),
            ("type=cache,targt=/x", "unexpected key 'targt' in 'targt=/x' (did you mean target?)"),
            ("type=bind,target=/x,required", "unexpected key 'required' for mount type 'bind'"),
            ("type=bind,target=/x,mode=1", "mode not allowed for \"bind\" type mounts"),
            ("type=cache,target=/x,mode=9", "invalid value 9 for mode"),
            ("type=bind,target=/x,ro=maybe", "invalid value for ro: maybe"),
            ("type=secret", "invalid secret mount. one of source, target required"),
            ("type=secret,id=a,from=b", "secret mount should not have a from"),
            ("type=tmpfs,target=/x,size=many", "invalid value for size: many"),
            ("type=ssh,sharing=shared", "invalid cache sharing set for ssh mount"),
        ] {
            assert_eq!(parse(text).unwrap_err(), want, "{text}");
        }
    }
}
