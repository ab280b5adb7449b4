//! HTTP to providers: no redirect is followed, nothing takes long, no answer is large.

use std::{fmt, pin::Pin, time::Duration};

use dealwright::{Error, Result};
use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse};

/// How long an exchange may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer: keys and tokens are some kilobytes.
const LARGEST: usize = 1 << 20;

/// How providers are spoken to.
#[derive(Debug, Clone, Default)]
pub struct OAuthOptions {
    certificates: Vec<reqwest::Certificate>,
}

impl OAuthOptions {
    /// The same, trusting these certificates (PEM) beside the public ones.
    ///
    /// # Errors
    /// `validation_failed` if they cannot be read.
    pub fn trust_pem(mut self, pem: &[u8]) -> Result<Self> {
        let found = reqwest::Certificate::from_pem_bundle(pem)
            .map_err(|e| Error::invalid("/extra_ca", "invalid", "this is no PEM certificate").with_source(e))?;
        self.certificates.extend(found);
        Ok(self)
    }
}

/// A client of providers; cheap to clone.
#[derive(Debug, Clone)]
pub struct OAuthHttp(reqwest::Client);

/// An exchange that came to nothing.
#[derive(Debug)]
pub struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl Failure {
    /// The same as an error of the engine.
    pub fn told(self, provider: &str) -> Error {
        Error::unavailable(format!("{provider} does not answer")).with_source(self)
    }
}

impl OAuthHttp {
    /// A client.
    ///
    /// # Errors
    /// `internal` if there is no TLS.
    pub fn new(options: &OAuthOptions) -> Result<Self> {
        let builder = reqwest::Client::builder()
            // A provider that could send us elsewhere could have us ask anything of our own network.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("dealwright/", env!("CARGO_PKG_VERSION")))
            .timeout(TIMEOUT);
        let builder = options.certificates.iter().cloned().fold(builder, reqwest::ClientBuilder::add_root_certificate);
        let client = builder.build();
        Ok(Self(client.map_err(|e| Error::internal("no client of HTTP can be made").with_source(e))?))
    }

    /// One exchange.
    pub(super) async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Failure> {
        // An address may hold what nobody else should see: it is not told on.
        let failure = |error: reqwest::Error| Failure(super::causes(&error.without_url()));
        let request = reqwest::Request::try_from(request).map_err(failure)?;
        let mut response = self.0.execute(request).await.map_err(failure)?;
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(failure)? {
            body.extend_from_slice(&part);
            if body.len() > LARGEST {
                return Err(Failure(format!("the answer is larger than {LARGEST} bytes")));
            }
        }
        let mut answer = HttpResponse::new(body);
        *answer.status_mut() = response.status();
        *answer.headers_mut() = std::mem::take(response.headers_mut());
        Ok(answer)
    }
}

impl<'c> AsyncHttpClient<'c> for OAuthHttp {
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Failure>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}
