//! The rule language in short: each function is one word of it, as `nft` prints it.

use crate::NetConfig;
use crate::nft::Set;
use nftables::expr::{
    CT, Expression, Fib, FibFlag, FibResult, Meta, MetaKey, NamedExpression, Payload, PayloadField, Prefix,
    SetItem,
};
use nftables::stmt::{Accept, JumpTarget, Mangle, Match, Operator, Statement, VerdictMap};
use std::net::Ipv4Addr;

pub(crate) fn pod_links(config: &NetConfig) -> Expression<'static> {
    Expression::String(format!("{}*", config.link_prefix()).into())
}

pub(crate) fn loopback() -> Expression<'static> {
    prefix(ipnet::Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8))
}

pub(crate) fn frontend() -> Expression<'static> {
    concat([payload("ip", "daddr"), meta(MetaKey::L4proto), payload("th", "dport")])
}

pub(crate) fn any_door() -> Expression<'static> {
    concat([meta(MetaKey::L4proto), payload("th", "dport")])
}

/// From where to where, in this set or not.
pub(crate) fn between(op: Operator, set: Set) -> Statement<'static> {
    let both = concat([payload("ip", "saddr"), payload("ip", "daddr")]);
    compare(both, op, Expression::String(format!("@{}", set.name()).into()))
}

/// From an address that this set has on both sides.
pub(crate) fn from_within(set: Set) -> Statement<'static> {
    let both = concat([payload("ip", "saddr"), payload("ip", "saddr")]);
    compare(both, Operator::EQ, Expression::String(format!("@{}", set.name()).into()))
}

/// What the machine would send an answer by; `false` where it has no route for it.
pub(crate) fn way_back(result: FibResult) -> Expression<'static> {
    // one flag: several would be written in any order, and the table's name follows from what is written
    Expression::Named(NamedExpression::Fib(Fib { result, flags: [FibFlag::Saddr].into() }))
}

pub(crate) fn follow(key: Expression<'static>, set: Set) -> Statement<'static> {
    let data = Expression::String(format!("@{}", set.name()).into());
    Statement::VerdictMap(VerdictMap { key, data })
}

/// Or, with [`Operator::NEQ`], to any other.
pub(crate) fn to_this_machine(op: Operator) -> Statement<'static> {
    let fib = Fib { result: FibResult::Type, flags: [FibFlag::Daddr].into() };
    compare(Expression::Named(NamedExpression::Fib(fib)), op, Expression::String("local".into()))
}

pub(crate) fn jump(target: &'static str) -> Statement<'static> {
    Statement::Jump(JumpTarget { target: target.into() })
}

pub(crate) fn set_mark(value: Expression<'static>) -> Statement<'static> {
    Statement::Mangle(Mangle { key: meta(MetaKey::Mark), value })
}

pub(crate) fn equal(left: Expression<'static>, right: Expression<'static>) -> Statement<'static> {
    compare(left, Operator::EQ, right)
}

pub(crate) fn compare(
    left: Expression<'static>,
    op: Operator,
    right: Expression<'static>,
) -> Statement<'static> {
    Statement::Match(Match { left, right, op })
}

pub(crate) fn meta(key: MetaKey) -> Expression<'static> {
    Expression::Named(NamedExpression::Meta(Meta { key }))
}

pub(crate) fn ct(key: &'static str) -> Expression<'static> {
    Expression::Named(NamedExpression::CT(CT { key: key.into(), family: None, dir: None }))
}

pub(crate) fn payload(protocol: &'static str, field: &'static str) -> Expression<'static> {
    let field = PayloadField { protocol: protocol.into(), field: field.into() };
    Expression::Named(NamedExpression::Payload(Payload::PayloadField(field)))
}

pub(crate) fn concat<const N: usize>(parts: [Expression<'static>; N]) -> Expression<'static> {
    Expression::Named(NamedExpression::Concat(parts.into()))
}

pub(crate) fn set_of<const N: usize>(parts: [Expression<'static>; N]) -> Expression<'static> {
    Expression::Named(NamedExpression::Set(parts.map(SetItem::Element).into()))
}

pub(crate) fn prefix(range: ipnet::Ipv4Net) -> Expression<'static> {
    let addr = Box::new(Expression::String(range.network().to_string().into()));
    Expression::Named(NamedExpression::Prefix(Prefix { addr, len: range.prefix_len().into() }))
}

/// A rule for what was let through before.
pub(crate) fn goes_on() -> Vec<Statement<'static>> {
    let known = Expression::List(["established", "related"].map(|s| Expression::String(s.into())).into());
    vec![compare(ct("state"), Operator::IN, known), Statement::Accept(Some(Accept {}))]
}
