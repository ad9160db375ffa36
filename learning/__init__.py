"""The inner loop: training one network by a learning rule. Importing this package alone brings no torch."""

# Name -> "module:class". Here, so that a script can list the rules without torch. Wherever a rule is named, a
# "module:class" of one's own will do too, without a line here.
LEARNING_RULES = {
    "backprop": "learning.rules.backprop:Backprop",
    "feedback_alignment": "learning.rules.feedback_alignment:FeedbackAlignment",
    "hebbian": "learning.rules.hebbian:Hebbian",
    "last_layer": "learning.rules.last_layer:LastLayer",
    "direct_feedback_alignment": "learning.rules.direct_feedback_alignment:DirectFeedbackAlignment",
    "sign_symmetry": "learning.rules.sign_symmetry:SignSymmetry",
    "sign_symmetry_fixed": "learning.rules.sign_symmetry:SignSymmetryFixed",
    "sign_symmetry_batch": "learning.rules.sign_symmetry:SignSymmetryBatch",
    "kolen_pollack": "learning.rules.kolen_pollack:KolenPollack",
    "weight_mirror": "learning.rules.weight_mirror:WeightMirror",
    "direct_kolen_pollack": "learning.rules.direct_kolen_pollack:DirectKolenPollack",
    "direct_random_target": "learning.rules.direct_random_target:DirectRandomTarget",
    "local_loss": "learning.rules.local_loss:LocalLoss",
    "node_perturbation": "learning.rules.node_perturbation:NodePerturbation",
    "reward_modulated": "learning.rules.reward_modulated:RewardModulated",
    "pepita": "learning.rules.pepita:Pepita",
    "predictive_coding": "learning.rules.predictive_coding:PredictiveCoding",
    "soft_hebb": "learning.rules.soft_hebb:SoftHebb",
}
