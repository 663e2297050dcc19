//! Ranges of addresses for Services, as the controllers ask for them, in the machine's network.

use async_trait::async_trait;
use ipnet::Ipv4Net;
use net::Network;

pub(crate) struct ServiceNetwork(pub(crate) Network);

#[async_trait]
impl controllers::ServiceNetwork for ServiceNetwork {
    async fn obstacle(&self, range: Ipv4Net) -> Result<Option<String>, String> {
        let overlap = self.0.overlap(range).await.map_err(|error| error.to_string())?;
        Ok(overlap.map(|overlap| overlap.to_string()))
    }

    async fn set_further_ranges(&self, ranges: &[Ipv4Net]) -> Result<(), String> {
        self.0.set_service_ranges(ranges).await.map_err(|error| error.to_string())
    }
}
