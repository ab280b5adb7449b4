//! Signing up, in and out.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use dealwright::{
    ErrorKind, read_input,
    scope::Scope,
    services::{
        identity::{
            AcceptInvitation, ChangePassword, EnableTwoFactor, ForgotPassword, Identity, RecoveryCodes, Refresh,
            ResetPassword, SignIn, SignUp, SignedIn, StepUp, Switch, TokenState, TransferOrganization, TwoFactorSetup,
            VerifyEmail,
        },
        organization::Belonging,
        team::MemberView,
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use tracing::warn;

use super::{ShellRoute, schema};
use crate::{
    body::{JSON, read_object},
    client::origin,
    cookies, in_flight, origins,
    problem::Problem,
    route::Verb,
    state::Shared,
};

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// A token to be looked at.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Verify {
    /// An access token.
    token: String,
}

/// A refresh token to be spent; without one the cookie's is.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RefreshBody {
    /// The newest refresh token of the session. Browsers leave it out.
    refresh_token: Option<String>,
}

/// The end of the caller's own session takes no input; an empty object is fine.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

pub(super) const fn auth(path: &'static str, name: &'static str) -> ShellRoute {
    ShellRoute {
        method: Verb::Post,
        path,
        name,
        doc: "",
        stands_for: &[],
        status: 200,
        cost: 1,
        signed_in: false,
        query: &[],
        input: None,
        output: None,
        media_type: None,
        uploads: &[],
        problems: &[400, 401, 403, 409, 413, 415, 422, 429, 500, 503],
        handler: |_, _| Box::pin(async { Err(Problem::not_found()) }),
    }
}

pub(super) const SIGN_UP: ShellRoute = ShellRoute {
    doc: "Makes a user and signs them in: with an organisation of their own and its default pipeline, or by `invite_token` in \
          the one that has invited them.",
    status: 201,
    input: schema!(SignUp),
    output: schema!(SignedIn),
    handler: |shared, request| {
        Box::pin(async move {
            let origin = origin(request.extensions(), request.headers());
            let identity = shared.crm().identity().from_origin(&origin);
            let former = former(request.headers());
            let answer = identity.sign_up(read::<SignUp>(request).await?).await?;
            end(identity, former).await;
            Ok(signed_in(StatusCode::CREATED, &answer))
        })
    },
    ..auth("/api/auth/signup", "auth.sign_up")
};

pub(super) const SIGN_IN: ShellRoute = ShellRoute {
    doc: "Signs in by e-mail address and password, and by `totp_code` where there is a second factor: `two_factor_required` \
          without it, `invalid_totp` with one that does not count.",
    input: schema!(SignIn),
    output: schema!(SignedIn),
    handler: |shared, request| {
        Box::pin(async move {
            let origin = origin(request.extensions(), request.headers());
            let identity = shared.crm().identity().from_origin(&origin);
            let former = former(request.headers());
            let answer = identity.sign_in(read::<SignIn>(request).await?).await?;
            end(identity, former).await;
            Ok(signed_in(StatusCode::OK, &answer))
        })
    },
    ..auth("/api/auth/signin", "auth.sign_in")
};

pub(super) const REFRESH: ShellRoute = ShellRoute {
    doc: "Spends a refresh token, or the one in a browser's cookie, for the next pair of tokens. One that comes back after it \
          was spent ends its session.",
    input: schema!(RefreshBody),
    output: schema!(SignedIn),
    handler: |shared, request| Box::pin(refresh(shared, request)),
    ..auth("/api/auth/refresh", "auth.refresh")
};

async fn refresh(shared: Shared, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let given: RefreshBody = read(Request::from_parts(parts.clone(), body)).await?;
    let origin = origin(&parts.extensions, &parts.headers);
    let identity = shared.crm().identity().from_origin(&origin);
    if let Some(refresh_token) = given.refresh_token {
        return Ok(signed_in(StatusCode::OK, &identity.refresh(Refresh { refresh_token }).await?));
    }
    let Some(token) = cookies::refresh(&parts.headers) else {
        let detail = "there is no cookie: send the refresh token";
        return Err(Problem::member("/refresh_token", "required", detail));
    };
    origins::accept_cookie(&shared, &parts)?;
    match identity.refresh(Refresh { refresh_token: token.to_owned() }).await {
        Ok(answer) => Ok(signed_in(StatusCode::OK, &answer)),
        Err(error) => {
            let ended = error.kind() == ErrorKind::Unauthenticated;
            let mut response = Problem::from(error).into_response();
            if ended {
                cookies::forget(&mut response);
            }
            Ok(response)
        }
    }
}

pub(super) const VERIFY: ShellRoute = ShellRoute {
    doc: "Tells whether an access token counts, and whose it is.",
    input: schema!(Verify),
    output: schema!(TokenState),
    handler: |shared, request| {
        Box::pin(async move {
            let given = read::<Verify>(request).await?;
            let answer = shared.crm().identity().verify(&given.token).await?;
            Ok(json(StatusCode::OK, &answer))
        })
    },
    ..auth("/api/auth/verify", "auth.verify")
};

pub(super) const SIGN_OUT: ShellRoute = ShellRoute {
    doc: "Ends the caller's session: its tokens count no more.",
    status: 204,
    signed_in: true,
    handler: |shared, request| {
        Box::pin(async move {
            let scope = shared.scope(request.extensions())?;
            read::<Nothing>(request).await?;
            if let Some(session) = scope.session_id {
                let origin = scope.origin.as_deref().cloned().unwrap_or_default();
                shared.crm().identity().from_origin(&origin).sign_out(session).await?;
            }
            let mut response = StatusCode::NO_CONTENT.into_response();
            cookies::forget(&mut response);
            // What of it a browser keeps beside: files, and what pages have stored. Not "cookies", which are those of every
            // host of the site; ours are gone already.
            response.headers_mut().insert(CLEAR_SITE_DATA, HeaderValue::from_static("\"cache\", \"storage\""));
            Ok(response)
        })
    },
    ..auth("/api/auth/signout", "auth.sign_out")
};

pub(super) const VERIFY_EMAIL: ShellRoute = ShellRoute {
    doc: "Confirms the address that a mailed token was sent to. `email_verified` of its user is true from then on; without, no \
          work is blocked.",
    status: 204,
    input: schema!(VerifyEmail),
    handler: |shared, request| {
        Box::pin(async move {
            let origin = origin(request.extensions(), request.headers());
            shared.crm().identity().from_origin(&origin).verify_email(read::<VerifyEmail>(request).await?).await?;
            Ok(StatusCode::NO_CONTENT.into_response())
        })
    },
    ..auth("/api/auth/verify-email", "auth.verify_email")
};

pub(super) const SEND_VERIFICATION: ShellRoute = ShellRoute {
    doc: "Sends the caller the mail again by which they confirm their address, once a minute at most.",
    status: 202,
    signed_in: true,
    handler: |shared, request| {
        Box::pin(async move {
            let scope = shared.scope(request.extensions())?;
            read::<Nothing>(request).await?;
            shared.crm().identity().send_verification(&scope).await?;
            Ok(StatusCode::ACCEPTED.into_response())
        })
    },
    ..auth("/api/auth/verify-email/send", "auth.send_verification")
};

pub(super) const FORGOT: ShellRoute = ShellRoute {
    doc: "Sends a mail by which whoever has this address chooses a new password. The answer is the same if nobody has it.",
    status: 202,
    input: schema!(ForgotPassword),
    handler: |shared, request| {
        Box::pin(async move {
            shared.crm().identity().forgot_password(&read::<ForgotPassword>(request).await?);
            Ok(StatusCode::ACCEPTED.into_response())
        })
    },
    ..auth("/api/auth/password/forgot", "auth.forgot_password")
};

pub(super) const RESET: ShellRoute = ShellRoute {
    doc: "Replaces a password by a token that came by mail: it counts for ten minutes, once. All sessions of its user end.",
    status: 204,
    input: schema!(ResetPassword),
    handler: |shared, request| {
        Box::pin(async move {
            let origin = origin(request.extensions(), request.headers());
            let identity = shared.crm().identity().from_origin(&origin);
            identity.reset_password(read::<ResetPassword>(request).await?).await?;
            Ok(StatusCode::NO_CONTENT.into_response())
        })
    },
    ..auth("/api/auth/password/reset", "auth.reset_password")
};

pub(super) const CHANGE: ShellRoute = ShellRoute {
    method: Verb::Put,
    doc: "Replaces the caller's password, who sends the present one too. All of their other sessions end.",
    status: 204,
    signed_in: true,
    input: schema!(ChangePassword),
    handler: |shared, request| {
        Box::pin(async move {
            let scope = shared.scope(request.extensions())?;
            let origin = origin(request.extensions(), request.headers());
            let identity = shared.crm().identity().from_origin(&origin);
            identity.change_password(&scope, read::<ChangePassword>(request).await?).await?;
            Ok(StatusCode::NO_CONTENT.into_response())
        })
    },
    ..auth("/api/auth/password", "auth.change_password")
};

pub(super) const SET_UP_2FA: ShellRoute = ShellRoute {
    doc: "Gives the caller a seed for their authenticator application, as a text, a link and a QR code. Nothing is asked for at \
          sign-in before `/enable` was sent a code of it. `step_up_required` more than ten minutes after they have shown who \
          they are.",
    signed_in: true,
    output: schema!(TwoFactorSetup),
    handler: |shared, request| {
        Box::pin(async move {
            let scope = shared.scope(request.extensions())?;
            read::<Nothing>(request).await?;
            let answer = shared.crm().identity().set_up_two_factor(&scope).await?;
            Ok(json(StatusCode::OK, &answer))
        })
    },
    ..auth("/api/auth/2fa/setup", "auth.set_up_two_factor")
};

pub(super) const ENABLE_2FA: ShellRoute = ShellRoute {
    doc: "From here on a code is asked for when the caller signs in. Answers ten recovery codes, once; each counts once, in \
          the place of a code. `step_up_required` more than ten minutes after they have shown who they are.",
    signed_in: true,
    input: schema!(EnableTwoFactor),
    output: schema!(RecoveryCodes),
    handler: |shared, request| {
        Box::pin(async move {
            let scope = shared.scope(request.extensions())?;
            let given = read::<EnableTwoFactor>(request).await?;
            let answer = shared.crm().identity().enable_two_factor(&scope, given).await?;
            Ok(json(StatusCode::OK, &answer))
        })
    },
    ..auth("/api/auth/2fa/enable", "auth.enable_two_factor")
};

pub(super) const DISABLE_2FA: ShellRoute = ShellRoute {
    doc: "No code is asked for any more when the caller signs in. It takes a code, a recovery code or the password: \
          `step_up_required` without.",
    status: 204,
    signed_in: true,
    input: schema!(StepUp),
    handler: |shared, request| {
        Box::pin(async move {
            let scope = shared.scope(request.extensions())?;
            let given = read::<StepUp>(request).await?;
            shared.crm().identity().disable_two_factor(&scope, given).await?;
            Ok(StatusCode::NO_CONTENT.into_response())
        })
    },
    ..auth("/api/auth/2fa/disable", "auth.disable_two_factor")
};

pub(super) const STEP_UP: ShellRoute = ShellRoute {
    doc: "Takes a code, a recovery code or the password, and answers a new pair of tokens; the caller's session ends and \
          another one takes its place. For ten minutes from then on, as from signing in, `step_up_required` is not answered \
          where a session that is fresh is enough.",
    signed_in: true,
    input: schema!(StepUp),
    output: schema!(SignedIn),
    handler: |shared, request| {
        Box::pin(async move {
            let scope = shared.scope(request.extensions())?;
            let origin = origin(request.extensions(), request.headers());
            let identity = shared.crm().identity().from_origin(&origin);
            let answer = identity.renew_session(&scope, read::<StepUp>(request).await?).await?;
            Ok(signed_in(StatusCode::OK, &answer))
        })
    },
    ..auth("/api/auth/step-up", "auth.step_up")
};

pub(super) const SWITCH: ShellRoute = ShellRoute {
    doc: "Answers a new pair of tokens for another organisation that the caller belongs to.",
    signed_in: true,
    input: schema!(Switch),
    output: schema!(SignedIn),
    problems: &[400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503],
    handler: |shared, request| {
        Box::pin(async move {
            let scope = shared.scope(request.extensions())?;
            let origin = origin(request.extensions(), request.headers());
            let identity = shared.crm().identity().from_origin(&origin);
            let answer = identity.switch(&scope, read::<Switch>(request).await?).await?;
            Ok(signed_in(StatusCode::OK, &answer))
        })
    },
    ..auth("/api/auth/switch", "auth.switch")
};

pub(super) const ACCEPT: ShellRoute = ShellRoute {
    doc: "Makes the caller a member of the organisation that has invited their address.",
    signed_in: true,
    input: schema!(AcceptInvitation),
    output: schema!(Belonging),
    handler: |shared, request| {
        Box::pin(async move {
            let scope = shared.scope(request.extensions())?;
            let key = in_flight::key(request.headers())?;
            let given = read::<AcceptInvitation>(request).await?;
            let _place =
                key.as_deref().map(|key| shared.in_flight().enter(&scope, "invitations.accept", key)).transpose()?;
            let scope = Scope { idempotency_key: key, ..scope };
            let (answer, replayed) = shared.crm().identity().accept_invitation_once(&scope, given).await?;
            Ok(once(&answer, replayed))
        })
    },
    ..auth("/api/team/invitations/accept", "invitations.accept")
};

pub(super) const TRANSFER: ShellRoute = ShellRoute {
    doc: "Hands the organisation from the caller, an owner, to another member, who owns it from then on; the caller stays as an \
          admin. It takes a code, a recovery code or the password: `step_up_required` without. Answers the new owner.",
    signed_in: true,
    input: schema!(TransferOrganization),
    output: schema!(MemberView),
    handler: |shared, request| {
        Box::pin(async move {
            let scope = shared.scope(request.extensions())?;
            let key = in_flight::key(request.headers())?;
            let origin = origin(request.extensions(), request.headers());
            let given = read::<TransferOrganization>(request).await?;
            let _place = key
                .as_deref()
                .map(|key| shared.in_flight().enter(&scope, "organizations.transfer", key))
                .transpose()?;
            let scope = Scope { idempotency_key: key, ..scope };
            let identity = shared.crm().identity().from_origin(&origin);
            let (answer, replayed) = identity.transfer_organization(&scope, given).await?;
            Ok(once(&answer, replayed))
        })
    },
    ..auth("/api/organization/transfer", "organizations.transfer")
};

/// An answer that may have been given before.
fn once(answer: &impl Serialize, replayed: bool) -> Response {
    let mut answer = json(StatusCode::OK, answer);
    if replayed {
        answer.headers_mut().insert(in_flight::REPLAYED, HeaderValue::from_static("true"));
    }
    answer
}

pub(super) async fn read<T: DeserializeOwned>(request: Request) -> Result<T, Problem> {
    let (parts, body) = request.into_parts();
    let object = read_object(&parts.headers, body, JSON, None).await?;
    Ok(read_input(Value::Object(object.unwrap_or_default()))?)
}

/// What a browser that signs in has of the session before.
pub(super) fn former(headers: &HeaderMap) -> Option<String> {
    cookies::refresh(headers).map(str::to_owned)
}

/// Ends the session whose cookies others have taken the place of: nobody could sign out of it any more, and whoever had a copy
/// would keep it (OWASP ASVS 5.0, 7.2.4). That this one has begun stands, whatever comes of the other.
pub(super) async fn end(identity: Identity<'_>, former: Option<String>) {
    let Some(refresh_token) = former else { return };
    if let Err(error) = identity.sign_out_by(Refresh { refresh_token }).await {
        warn!(%error, "the session that a browser had before it signed in was not ended");
    }
}

/// A sign-in's answer; browsers keep the tokens as cookies, whoever else reads them in the body.
pub(super) fn signed_in(status: StatusCode, answer: &SignedIn) -> Response {
    let mut response = json(status, answer);
    cookies::keep(&mut response, answer);
    response
}

pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(text) => (status, [(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => Problem::internal(format!("an answer is no JSON: {error}")).into_response(),
    }
}
