//! TLS, set up once and used for every connection.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore,
    SignatureScheme,
};

use crate::{Error, ErrorKind, Result};

/// What a server's certificate must prove.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verification {
    /// Nothing: anybody can pose as the server.
    None,
    /// That a trusted authority signed it, for whatever host.
    Chain,
    /// That a trusted authority signed it for this host.
    #[default]
    Full,
}

/// The files and choices TLS is set up from.
#[derive(Clone, Debug, Default)]
pub struct TlsOptions {
    /// Files of trusted authorities (PEM). The system's where neither these nor `ca_data` are.
    pub ca_files: Vec<PathBuf>,
    /// Trusted authorities (PEM).
    pub ca_data: Option<Vec<u8>>,
    /// Our certificate chain (PEM).
    pub certificate: Option<PathBuf>,
    /// The key to it (PEM, not encrypted); in the certificate's file where there is none.
    pub key: Option<PathBuf>,
    /// What the server must prove.
    pub verification: Verification,
    /// Whether to refuse everything older than TLS 1.3.
    pub only_tls13: bool,
}

/// A TLS setup.
pub struct Tls {
    config: Arc<ClientConfig>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// Reads the certificates and sets TLS up.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where a file cannot be read or used.
    pub fn new(options: &TlsOptions) -> Result<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions: &[_] = if options.only_tls13 {
            &[&rustls::version::TLS13]
        } else {
            rustls::ALL_VERSIONS
        };
        let verifier: Arc<dyn ServerCertVerifier> = match options.verification {
            Verification::None => Arc::new(AnyCertificate(Arc::clone(&provider))),
            Verification::Chain => Arc::new(AnyHost(verifier(options, &provider)?)),
            Verification::Full => verifier(options, &provider)?,
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(|error| unusable("TLS", error))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let config = match &options.certificate {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let chain = certificates(path)?;
                let key_path = options.key.as_ref().unwrap_or(path);
                let key = PrivateKeyDer::from_pem_file(key_path)
                    .map_err(|error| unusable(key_path.display(), error))?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| unusable(path.display(), error))?
            }
        };
        Ok(Self {
            config: Arc::new(config),
        })
    }

    /// A new session with `host`.
    pub(in crate::backend::redis) fn session(&self, host: &str) -> io::Result<ClientConnection> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        ClientConnection::new(Arc::clone(&self.config), name).map_err(io::Error::other)
    }
}

fn verifier(
    options: &TlsOptions,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>> {
    let roots = Arc::new(authorities(options)?);
    WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider))
        .build()
        .map_err(|error| unusable("the trusted authorities", error))
}

fn authorities(options: &TlsOptions) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    if options.ca_files.is_empty() && options.ca_data.is_none() {
        // A system has certificates of many ages; one that cannot be read spoils no other.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    }
    let mut add = |certificates: Vec<CertificateDer<'static>>, source: &dyn fmt::Display| {
        certificates.into_iter().try_for_each(|certificate| {
            roots
                .add(certificate)
                .map_err(|error| unusable(source, error))
        })
    };
    for path in &options.ca_files {
        add(certificates(path)?, &path.display())?;
    }
    if let Some(data) = &options.ca_data {
        let parsed = CertificateDer::pem_slice_iter(data)
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(|error| unusable("ssl_ca_data", error))?;
        add(parsed, &"ssl_ca_data")?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(path.display(), error))
}

fn unusable(
    what: impl fmt::Display,
    error: impl std::error::Error + Send + Sync + 'static,
) -> Error {
    let message = error.to_string();
    Error::new(ErrorKind::Config, "TLS setup", what.to_string(), message).with_source(error)
}

/// Accepts a good certificate for any host.
#[derive(Debug)]
struct AnyHost(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyHost {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let checked =
            self.0
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match checked {
            // The name is checked last: everything else was right.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Accepts every certificate whose key the server holds.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
