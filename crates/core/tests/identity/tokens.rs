//! Access tokens that are none, or count no more (OWASP ASVS 5.0, V9 and 7.2): each refused with its code.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use chrono::Duration;
use dealwright::{
    Crm,
    env::Env,
    services::identity::{Refresh, SignedIn, TokenKeys},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::{
    World,
    harness::{cases, world::refused},
};

cases!(
    forged_tokens_are_refused_each_with_its_code,
    a_token_that_its_session_outlives_is_refused_when_it_is_replayed,
    an_access_token_names_its_key_and_whom_it_is_for,
    a_new_key_signs_while_older_ones_verify,
);

/// What stands before an Ed25519 key in PKCS #8 (RFC 8410, section 7).
const PKCS8_PREFIX: [u8; 16] = [48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32];

/// The first key of a key file.
fn key(file: &str) -> EncodingKey {
    let seed = STANDARD.decode(file.lines().next().unwrap()).unwrap();
    EncodingKey::from_ed_der(&[PKCS8_PREFIX.as_slice(), &seed].concat())
}

fn part(token: &str, place: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(place).unwrap()).unwrap()).unwrap()
}

fn base64(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A token of ours that somebody takes apart.
struct Original {
    header: Value,
    claims: Value,
    text: String,
}

impl Original {
    fn of(signed_in: &SignedIn) -> Self {
        let text = signed_in.access_token.clone();
        Self { header: part(&text, 0), claims: part(&text, 1), text }
    }

    /// The claims with one of them changed; `null` leaves it out.
    fn with(&self, name: &str, value: Value) -> Value {
        let mut claims = self.claims.clone();
        claims[name] = value;
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        claims
    }

    /// A token with these claims, signed by `key`, with the header of the original but for what `change` does to it.
    fn signed(&self, claims: &Value, key: &EncodingKey, change: impl FnOnce(&mut Header)) -> String {
        let mut header: Header = serde_json::from_value(self.header.clone()).unwrap();
        change(&mut header);
        encode(&header, claims, key).unwrap()
    }

    /// The parts of the original, one of them replaced.
    fn replaced(&self, place: usize, part: &str) -> String {
        let mut parts: Vec<&str> = self.text.split('.').collect();
        parts[place] = part;
        parts.join(".")
    }
}

/// ASVS 7.2.1.
async fn forged_tokens_are_refused_each_with_its_code(world: World) {
    let signed_in = world.sign_up("una").await;
    let token = Original::of(&signed_in);
    let ours = key(&world.key_file);
    let wrong_key = key(&TokenKeys::new_key_file(&Env::system()).unwrap());
    let public = world.crm.identity().public_keys().keys.remove(0);
    let public = URL_SAFE_NO_PAD.decode(public.x).unwrap();
    let with_claim = |name: &str, value: Value| token.signed(&token.with(name, value), &ours, |_| {});
    let now = world.env.now().timestamp();
    let none = json!({"alg": "none", "typ": "at+jwt", "kid": token.header["kid"]});
    let mut signature = URL_SAFE_NO_PAD.decode(token.text.rsplit('.').next().unwrap()).unwrap();
    signature[10] ^= 1;
    let other_user = token.with("sub", json!(world.una));

    // What the tools make is a token of ours as long as nothing is changed.
    let untouched = token.signed(&token.claims, &ours, |_| {});
    assert_eq!(world.crm.identity().authenticate(&untouched).await.unwrap().user_id(), Some(signed_in.user.id));

    let forged = [
        // ASVS 9.1.2: only algorithms of the list, and never `none`.
        ("alg none", format!("{}.{}.", base64(&none), base64(&token.claims)), "invalid_token"),
        ("alg none, its signature kept", token.replaced(0, &base64(&none)), "invalid_token"),
        (
            "HS256 by the public key",
            token.signed(&token.claims, &EncodingKey::from_secret(&public), |it| it.alg = Algorithm::HS256),
            "invalid_token",
        ),
        // ASVS 9.1.1 and 9.1.3: signed, by a key of ours.
        ("another's key under our kid", token.signed(&token.claims, &wrong_key, |_| {}), "invalid_token"),
        (
            "an unknown kid",
            token.signed(&token.claims, &ours, |it| it.kid = Some("00000000".to_owned())),
            "invalid_token",
        ),
        ("no kid", token.signed(&token.claims, &ours, |it| it.kid = None), "invalid_token"),
        ("a changed signature", token.replaced(2, &URL_SAFE_NO_PAD.encode(&signature)), "invalid_token"),
        ("a changed payload", token.replaced(1, &base64(&other_user)), "invalid_token"),
        ("no signature", token.replaced(2, ""), "invalid_token"),
        ("cut short", token.text[..token.text.len() - 20].to_owned(), "invalid_token"),
        ("the first half", token.text[..token.text.len() / 2].to_owned(), "invalid_token"),
        ("nothing", String::new(), "invalid_token"),
        // ASVS 9.2.1: within its time.
        ("expired", with_claim("exp", json!(now)), "token_expired"),
        ("no end", with_claim("exp", Value::Null), "invalid_token"),
        ("far ahead", with_claim("nbf", json!(now + 3_600)), "token_not_yet_valid"),
        // ASVS 9.2.2: of the kind that is asked for.
        ("a refresh token", signed_in.refresh_token.clone(), "invalid_token"),
        ("another type", token.signed(&token.claims, &ours, |it| it.typ = Some("JWT".to_owned())), "invalid_token"),
        // ASVS 9.2.3 and 9.2.4: for us, from us.
        ("another audience", with_claim("aud", json!("elsewhere")), "invalid_token"),
        ("no audience", with_claim("aud", Value::Null), "invalid_token"),
        ("another issuer", with_claim("iss", json!("elsewhere")), "invalid_token"),
        ("no issuer", with_claim("iss", Value::Null), "invalid_token"),
        // Even by the right key: what it claims must be so.
        ("another's session", token.signed(&other_user, &ours, |_| {}), "session_ended"),
        ("another organisation", with_claim("org", json!(world.organization)), "session_ended"),
        ("a session that never was", with_claim("sid", json!(world.una)), "session_ended"),
    ];
    for (what, text, code) in forged {
        let answer = world.crm.identity().authenticate(&text).await;
        let error = answer.expect_err(what);
        assert_eq!((error.kind().status(), error.code()), (401, code), "{what}: {error}");
        let state = world.crm.identity().verify(&text).await.unwrap();
        assert!(!state.active && state.user_id.is_none(), "{what}");
    }
    // A clock that is a little behind is none.
    let soon = with_claim("nbf", json!(now + 30));
    assert!(world.crm.identity().authenticate(&soon).await.is_ok());
}

async fn a_token_that_its_session_outlives_is_refused_when_it_is_replayed(world: World) {
    let identity = world.crm.identity();
    let signed_in = world.sign_up("una").await;
    let scope = identity.authenticate(&signed_in.access_token).await.unwrap();
    identity.sign_out(scope.session_id.unwrap()).await.unwrap();
    refused(identity.authenticate(&signed_in.access_token).await, 401, "session_ended");
    let spent = Refresh { refresh_token: signed_in.refresh_token };
    refused(identity.refresh(spent).await, 401, "invalid_refresh_token");
}

/// ASVS 9.2.3 and 9.2.4.
async fn an_access_token_names_its_key_and_whom_it_is_for(world: World) {
    let token = Original::of(&world.sign_up("una").await);
    let public = world.crm.identity().public_keys();
    assert_eq!(token.header, json!({"alg": "EdDSA", "typ": "at+jwt", "kid": public.keys[0].kid}));
    assert_eq!((&token.claims["iss"], &token.claims["aud"]), (&json!("dealwright"), &json!("dealwright")));
    let members = ["kty", "crv", "alg", "use"].map(|name| json!(public.keys[0])[name].clone());
    assert_eq!(members, ["OKP", "Ed25519", "EdDSA", "sig"].map(Value::from));

    // Whoever reads the set as RFC 7517 has it can tell our token from another.
    let set: jsonwebtoken::jwk::JwkSet = serde_json::from_value(json!(public)).unwrap();
    let found = set.find(token.header["kid"].as_str().unwrap()).unwrap();
    let mut validation = jsonwebtoken::Validation::new(Algorithm::EdDSA);
    validation.set_audience(&["dealwright"]);
    validation.validate_exp = false;
    let key = jsonwebtoken::DecodingKey::from_jwk(found).unwrap();
    assert_eq!(jsonwebtoken::decode::<Value>(&token.text, &key, &validation).unwrap().claims, token.claims);
}

/// ASVS 11.2.2.
async fn a_new_key_signs_while_older_ones_verify(world: World) {
    let before = world.sign_up("una").await;
    let engine = async |key_file: &str| {
        let builder = Crm::builder().store(world.store.clone()).env(world.env.clone());
        builder.token_keys(TokenKeys::from_key_file(key_file).unwrap()).build().await.unwrap()
    };
    let new = TokenKeys::new_key_file(&Env::system()).unwrap();
    let rotated = engine(&format!("{new}{}", world.key_file)).await;
    let identity = rotated.identity();
    let kids: Vec<String> = identity.public_keys().keys.into_iter().map(|key| key.kid).collect();
    assert_eq!((kids.len(), &kids[1]), (2, &world.crm.identity().public_keys().keys[0].kid));

    // Nobody is signed out by it, and what is issued from then on is signed by the new one.
    identity.authenticate(&before.access_token).await.unwrap();
    let after = identity.refresh(Refresh { refresh_token: before.refresh_token.clone() }).await.unwrap();
    assert_eq!(part(&after.access_token, 0)["kid"], kids[0]);
    identity.authenticate(&after.access_token).await.unwrap();

    // Once the older one is taken out, its tokens count no more, however long they would have.
    let retired = engine(&new).await;
    refused(retired.identity().authenticate(&before.access_token).await, 401, "invalid_token");
    world.clock.advance(Duration::minutes(1));
    retired.identity().authenticate(&after.access_token).await.unwrap();
    let spent = Refresh { refresh_token: before.refresh_token };
    // It is known by its hash alone; the code that the old key made proves nothing any more.
    refused(retired.identity().refresh(spent).await, 401, "refresh_token_reused");
}
