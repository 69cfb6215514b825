//! What signs messages to webhooks, apart from all else, so that only those who sign or register
//! may read or write it: `secrets/jobs/<id>` and `secrets/tenants/<tenant>/<secret>`.

use bytes::Bytes;
use object_store::path::Path;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::endpoint::SigningSecret;
use crate::job::{JobId, TenantId};

impl Store {
    fn job_secret_path(&self, id: JobId) -> Path {
        self.path(&["secrets", "jobs", &id.to_string()])
    }

    fn tenant_secret_path(&self, tenant: &TenantId, id: Uuid) -> Path {
        self.path(&["secrets", "tenants", tenant.as_str(), &id.to_string()])
    }

    /// Keeps the secret of a job's own webhook. [`StoreError::Deleted`] if the job is dead.
    pub async fn put_job_secret(
        &self,
        id: JobId,
        secret: &SigningSecret,
    ) -> Result<(), StoreError> {
        let path = self.job_secret_path(id);
        self.put(&path, bytes(secret)).await?;
        self.stay_unless_deleted(id, &path).await
    }

    /// The secret of a job's own webhook.
    pub async fn job_secret(&self, id: JobId) -> Result<Option<SigningSecret>, StoreError> {
        self.secret(&self.job_secret_path(id)).await
    }

    /// Removes the secret of a job's own webhook. An absent one is fine.
    pub async fn remove_job_secret(&self, id: JobId) -> Result<(), StoreError> {
        self.remove(&self.job_secret_path(id)).await
    }

    /// Keeps a secret of a tenant.
    pub async fn put_tenant_secret(
        &self,
        tenant: &TenantId,
        id: Uuid,
        secret: &SigningSecret,
    ) -> Result<(), StoreError> {
        let path = self.tenant_secret_path(tenant, id);
        self.put(&path, bytes(secret)).await
    }

    /// A secret of a tenant.
    pub async fn tenant_secret(
        &self,
        tenant: &TenantId,
        id: Uuid,
    ) -> Result<Option<SigningSecret>, StoreError> {
        self.secret(&self.tenant_secret_path(tenant, id)).await
    }

    /// Removes a secret that signs no more. An absent one is fine.
    pub async fn remove_tenant_secret(
        &self,
        tenant: &TenantId,
        id: Uuid,
    ) -> Result<(), StoreError> {
        self.remove(&self.tenant_secret_path(tenant, id)).await
    }

    async fn secret(&self, path: &Path) -> Result<Option<SigningSecret>, StoreError> {
        let found = self.get(path).await?;
        Ok(found.and_then(|bytes| SigningSecret::stored(&bytes)))
    }
}

fn bytes(secret: &SigningSecret) -> Bytes {
    Bytes::copy_from_slice(secret.expose().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Scratch;
    use super::*;

    #[tokio::test]
    async fn a_secret_is_read_as_it_was_kept_until_it_is_removed() {
        let Scratch { store, .. } = &Scratch::new();
        let (job, tenant, id) = (JobId::mint(), TenantId::new("band"), Uuid::now_v7());
        let secret = SigningSecret::make().unwrap();
        assert_eq!(store.job_secret(job).await.unwrap(), None);
        store.put_job_secret(job, &secret).await.unwrap();
        store.put_tenant_secret(&tenant, id, &secret).await.unwrap();
        assert_eq!(store.job_secret(job).await.unwrap(), Some(secret.clone()));
        let of_tenant = async || store.tenant_secret(&tenant, id).await.unwrap();
        assert_eq!(of_tenant().await, Some(secret));
        store.remove_tenant_secret(&tenant, id).await.unwrap();
        store.remove_tenant_secret(&tenant, id).await.unwrap();
        assert_eq!(of_tenant().await, None);
    }

    #[tokio::test]
    async fn a_removed_job_leaves_no_secret() {
        let Scratch { store, .. } = &Scratch::new();
        let (job, secret) = (JobId::mint(), SigningSecret::make().unwrap());
        store.put_job_secret(job, &secret).await.unwrap();
        store.remove_job(job).await.unwrap();
        assert_eq!(store.job_secret(job).await.unwrap(), None);
    }
}
