use crate::blueprint::{Missed, Respond, ScheduleTrigger, Trigger, WebhookTrigger};
use crate::error::Code;
use crate::id::{DeploymentId, WorkspaceId};
use crate::storage::testing::on_each;
use crate::trigger::testing::House;
use crate::trigger::{Deployment, Kind, forget, get, list, set_enabled};

const NOW: i64 = 1_700_000_000_000;

fn webhook(path: &str) -> Trigger {
    Trigger::Webhook(WebhookTrigger {
        path: path.into(),
        method: "POST".into(),
        secret: None,
        require: Vec::new(),
        respond: Respond::Accepted,
    })
}

fn schedule(text: &str) -> Trigger {
    Trigger::Schedule(ScheduleTrigger {
        schedule: text.into(),
        timezone: None,
        missed: Missed::Once,
        jitter: None,
        input: None,
    })
}

#[tokio::test]
async fn a_path_has_one_holder_and_a_conflict_names_it() {
    on_each(async |db| {
        let house = House::new(db, NOW);
        let first = house.deployment("first");
        house.arm(&first, vec![Trigger::Manual, webhook("leads")]).await.unwrap();
        let second = house.deployment("second");
        let error = house.arm(&second, vec![webhook("leads")]).await.unwrap_err();
        assert_eq!(error.code(), Code::Conflict);
        assert!(error.message().contains("\"first\""), "{error}");
        // Nothing of the refused deployment is left.
        assert_eq!(list(&house.db, house.workspace, Some(second.bot)).await.unwrap(), []);
        // In another environment, another workspace or after the first has ended it is free.
        let staging = Deployment { environment: "staging".into(), default_environment: false, ..second.clone() };
        house.arm(&staging, vec![webhook("leads")]).await.unwrap();
        assert_eq!(path(&house, &staging).await.as_deref(), Some("staging/leads"));
        let elsewhere =
            Deployment { workspace: WorkspaceId::at(NOW), deployment: DeploymentId::at(NOW), ..second.clone() };
        house.arm(&elsewhere, vec![webhook("leads")]).await.unwrap();
        house.disarm(&first).await;
        let second = Deployment { deployment: DeploymentId::at(NOW), ..second };
        house.arm(&second, vec![webhook("leads")]).await.unwrap();
    })
    .await;
}

async fn path(house: &House, deployment: &Deployment) -> Option<String> {
    let all = list(&house.db, deployment.workspace, Some(deployment.bot)).await.unwrap();
    all.into_iter().find(|trigger| trigger.deployment == deployment.deployment)?.path
}

#[tokio::test]
async fn one_row_stands_for_each_trigger_and_goes_with_its_deployment() {
    on_each(async |db| {
        let house = House::new(db, NOW);
        let deployment = house.deployment("a");
        house.arm(&deployment, vec![Trigger::Manual, schedule("0 * * * *"), webhook("x")]).await.unwrap();
        let all = list(&house.db, house.workspace, Some(deployment.bot)).await.unwrap();
        let kinds: Vec<(u32, Kind)> = all.iter().map(|trigger| (trigger.position, trigger.kind)).collect();
        assert_eq!(kinds, [(1, Kind::Schedule), (2, Kind::Webhook)]);
        assert_eq!(all[0].settings["schedule"], "0 * * * *");
        assert_eq!(get(&house.db, house.workspace, all[0].id).await.unwrap(), all[0]);
        let stranger = get(&house.db, WorkspaceId::at(NOW), all[0].id).await.unwrap_err();
        assert_eq!(stranger.code(), Code::NotFound);
        let refused = set_enabled(&house.db, &house.clock, WorkspaceId::at(NOW), all[0].id, false).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound);
        house.disarm(&deployment).await;
        assert_eq!(list(&house.db, house.workspace, None).await.unwrap(), []);
        let bot = deployment.bot;
        house.db.write(move |tx| Box::pin(forget(tx, bot))).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_schedule_that_is_not_understood_is_refused_whole() {
    on_each(async |db| {
        let house = House::new(db, NOW);
        let deployment = house.deployment("a");
        let error =
            house.arm(&deployment, vec![schedule("0 * * * *"), schedule("at the blue moon")]).await.unwrap_err();
        assert_eq!(error.code(), Code::Invalid);
        let nowhere = Deployment { timezone: "Mars/Olympus".into(), ..deployment };
        let error = house.arm(&nowhere, vec![schedule("0 * * * *")]).await.unwrap_err();
        assert!(error.message().contains("Mars/Olympus"));
        assert_eq!(list(&house.db, house.workspace, None).await.unwrap(), []);
    })
    .await;
}
