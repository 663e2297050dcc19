//! Objects as the API holds them, and questions to ask.
#![allow(dead_code)] // each test file uses its part

pub mod server;

use api::ObjectKey;
use dns::{DnsConfig, Records, ServiceRecords, Upstream, Zone};
use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::net::SocketAddr;

pub fn config(listen: SocketAddr, upstream: Upstream) -> DnsConfig {
    DnsConfig {
        listen,
        domain: "cluster.local".into(),
        pod_cidr: "10.244.0.0/19".parse().unwrap(),
        service_cidr: "10.96.0.0/16".parse().unwrap(),
        upstream,
        service_ip: "10.96.0.10".parse().unwrap(),
    }
}

pub fn records(services: &[(Service, Vec<EndpointSlice>)]) -> Records {
    let config = config("127.0.0.1:53".parse().unwrap(), Upstream::Servers(Vec::new()));
    let mut records = Records::new(Zone::new(&config).unwrap());
    records.add_namespace("default");
    records.add_namespace("empty");
    for (service, slices) in services {
        let key = ObjectKey::namespaced("default", service.metadata.name.as_deref().unwrap());
        let made = ServiceRecords::new(records.zone(), service, slices);
        records.set_service(&key, made);
    }
    records
}

fn meta(name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.into()), namespace: Some("default".into()), ..ObjectMeta::default() }
}

pub fn service(name: &str, ips: &[&str], ports: &[(&str, &str, i32)]) -> Service {
    let port = |(name, protocol, port): &(&str, &str, i32)| ServicePort {
        name: (!name.is_empty()).then(|| (*name).to_owned()),
        protocol: Some((*protocol).to_owned()),
        port: *port,
        ..ServicePort::default()
    };
    let spec = ServiceSpec {
        type_: Some("ClusterIP".into()),
        cluster_ip: ips.first().map(|ip| (*ip).to_owned()),
        cluster_ips: Some(ips.iter().map(|ip| (*ip).to_owned()).collect()),
        ports: Some(ports.iter().map(port).collect()),
        ..ServiceSpec::default()
    };
    Service { metadata: meta(name), spec: Some(spec), status: None }
}

pub fn external(name: &str, target: &str) -> Service {
    let spec = ServiceSpec {
        type_: Some("ExternalName".into()),
        external_name: Some(target.into()),
        ..ServiceSpec::default()
    };
    Service { metadata: meta(name), spec: Some(spec), status: None }
}

/// Address, hostname, ready.
pub fn slice(ports: &[(&str, &str, i32)], endpoints: &[(&str, Option<&str>, Option<bool>)]) -> EndpointSlice {
    let port = |(name, protocol, port): &(&str, &str, i32)| EndpointPort {
        name: Some((*name).to_owned()),
        protocol: Some((*protocol).to_owned()),
        port: Some(*port),
        ..EndpointPort::default()
    };
    let endpoint = |(address, hostname, ready): &(&str, Option<&str>, Option<bool>)| Endpoint {
        addresses: vec![(*address).to_owned()],
        hostname: hostname.map(str::to_owned),
        conditions: Some(EndpointConditions { ready: *ready, ..EndpointConditions::default() }),
        ..Endpoint::default()
    };
    EndpointSlice {
        metadata: meta("slice"),
        address_type: "IPv4".into(),
        endpoints: Some(endpoints.iter().map(endpoint).collect()),
        ports: Some(ports.iter().map(port).collect()),
    }
}

pub fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

/// One line for a record: `name type data`.
pub fn line(record: &Record) -> String {
    let data = match &record.data {
        RData::SRV(srv) => format!("{} {} {} {}", srv.priority, srv.weight, srv.port, srv.target),
        RData::TXT(txt) => {
            txt.txt_data.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect()
        }
        RData::SOA(soa) => format!("{} {}", soa.mname, soa.minimum),
        other => other.to_string(),
    };
    format!("{} {} {data}", record.name, record.record_type())
}

pub fn question(text: &str, kind: RecordType) -> Message {
    let mut message = Message::new(rand::random(), MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.queries.push(Query::query(name(text), kind));
    message
}

pub fn web() -> Records {
    records(&[
        (service("web", &["10.96.1.1"], &[("http", "TCP", 80)]), Vec::new()),
        (external("db", "DB.example.com"), Vec::new()),
        (external("loop", "loop.default.svc.cluster.local"), Vec::new()),
        (external("near", "web.default.svc.cluster.local"), Vec::new()),
    ])
}
