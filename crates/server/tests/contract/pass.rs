//! Every operation of the table once with an input that counts.

use dealwright::{Effect, OutputKind};
use dealwright_server::routes::routes;

use crate::{
    live::Live,
    support::{calls::call, valid},
};

/// Asks each at each of its addresses.
pub async fn every_operation(live: &mut Live) {
    let (schemas, definitions) = valid::schemas();
    let mut flaws = Vec::new();
    for route in routes() {
        let (operation, schema) = schemas.iter().find(|(it, _)| it.name == route.operation).unwrap();
        for base in valid::bases(operation, schema, &definitions) {
            let input = live.side.resolved(&base).await;
            let (path, body) = call(route, &input);
            let method = route.method.method();
            let response = live.ask(&method, &path, Some(&live.token()), body.as_ref()).await;
            let expected = if operation.output_kind == OutputKind::Empty { 204 } else { route.status };
            let status = response.status().as_u16();
            if status != expected {
                flaws.push(format!("{method} {path} {body:?}: {status}: {}", response.text().await.unwrap()));
            }
            if operation.effect == Effect::Command {
                // What was changed or removed is no good for the next one.
                live.side.forget();
            }
        }
    }
    assert!(flaws.is_empty(), "what should succeed does not:\n{}", flaws.join("\n"));
}
