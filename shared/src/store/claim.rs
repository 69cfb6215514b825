//! The claims `keys/<tenant>/<key>[.<dead job>]`: which job an `Idempotency-Key` stands for.

use object_store::path::Path;

use super::{Put, Store, StoreError, json};
use crate::envelope::{Claim, ClaimName};
use crate::job::TenantId;

impl Store {
    fn claim_path(&self, tenant: &TenantId, name: &ClaimName) -> Path {
        let file = match name.after {
            Some(dead) => format!("{}.{dead}", name.key),
            None => name.key.clone(),
        };
        self.path(&["keys", tenant.as_str(), &file])
    }

    /// Claims a key, unless that is claimed.
    pub async fn put_claim_if_absent(
        &self,
        tenant: &TenantId,
        name: &ClaimName,
        claim: &Claim,
    ) -> Result<Put, StoreError> {
        let path = self.claim_path(tenant, name);
        self.put_if_absent(&path, json(&path, claim)?).await
    }

    /// Reads a claim.
    pub async fn claim(
        &self,
        tenant: &TenantId,
        name: &ClaimName,
    ) -> Result<Option<Claim>, StoreError> {
        self.get_json(&self.claim_path(tenant, name)).await
    }

    /// Frees a key: only a claim that is followed by a sealed one may go.
    pub async fn remove_claim(
        &self,
        tenant: &TenantId,
        name: &ClaimName,
    ) -> Result<(), StoreError> {
        self.remove(&self.claim_path(tenant, name)).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Scratch;
    use super::*;
    use crate::job::{JobId, UserId};

    #[tokio::test]
    async fn the_first_claim_on_a_key_stands_for_its_tenant() {
        let Scratch { store, .. } = &Scratch::new();
        let (a, b) = (TenantId::new("a"), TenantId::new("b"));
        let claim = || Claim::Job {
            id: JobId::mint(),
            user: UserId::new("u"),
            digest: "d".to_owned(),
        };
        let (first, second) = (claim(), claim());
        let name = ClaimName::first("key of monday");
        let put = async |tenant, claim| store.put_claim_if_absent(tenant, &name, claim).await;
        assert_eq!(put(&a, &first).await.unwrap(), Put::Stored);
        assert_eq!(put(&a, &second).await.unwrap(), Put::Existed);
        assert_eq!(put(&b, &second).await.unwrap(), Put::Stored);
        assert_eq!(store.claim(&a, &name).await.unwrap(), Some(first));
        let next = name.following(JobId::mint());
        assert_eq!(store.claim(&a, &next).await.unwrap(), None);
        store.remove_claim(&a, &name).await.unwrap();
        assert_eq!(store.claim(&a, &name).await.unwrap(), None);
    }
}
